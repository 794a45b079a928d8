/** Basic blocks of a kernel and where diverged lanes of a warp come together again. */
import { unsupported } from "../ptx/operands.ts";
import type { Instruction, PtxFunction, Register } from "../ptx/ptx.ts";

export type Terminator =
  | { readonly kind: "jump"; readonly target: number }
  | {
      readonly kind: "branch";
      readonly predicate: Register;
      readonly negated: boolean;
      readonly taken: number;
      readonly next: number;
    }
  /** The active lanes, or those the guard selects, end; the others go on at `next`. */
  | { readonly kind: "exit"; readonly guard: Instruction["guard"]; readonly next: number }
  /** The warp stops until the barrier lets it go on at `next`. */
  | { readonly kind: "barrier"; readonly instruction: Instruction; readonly next: number };

export interface Block {
  readonly index: number;
  /** Straight-line instructions, terminator not included. */
  readonly instructions: readonly Instruction[];
  readonly terminator: Terminator;
  /** Indices; the virtual exit block is `blocks.length`. */
  readonly successors: readonly number[];
  /** Nearest block every path from here passes through: immediate post-dominator. */
  readonly reconvergence: number;
  /** True when some path from the start of this block meets a barrier. */
  readonly reachesBarrier: boolean;
}

/** Splits a kernel into blocks. The entry is block 0. Throws `emulator/unsupported`. */
export function buildCfg(fn: PtxFunction): readonly Block[] {
  const { instructions, labels } = fn;
  const starts = new Set<number>([0, ...labels.values()]);
  for (const [at, instruction] of instructions.entries()) {
    if (endsBlock(instruction)) starts.add(at + 1);
  }
  const order = [...starts].filter((at) => at < instructions.length).sort((a, b) => a - b);
  const blockAt = new Map(order.map((at, index) => [at, index] as const));
  const exit = order.length;
  const targetOf = (instruction: Instruction): number => {
    const label = instruction.operands.find((operand) => operand.kind === "label");
    const at = label?.kind === "label" ? labels.get(label.name) : undefined;
    if (at === undefined) throw unsupported(instruction, "a branch without a label");
    return blockAt.get(at) ?? exit;
  };

  const shapes = order.map((start, index) => {
    const end = order[index + 1] ?? instructions.length;
    const last = instructions[end - 1];
    const next = index + 1;
    const straight = (): { body: Instruction[]; terminator: Terminator } => ({
      body: instructions.slice(start, end),
      terminator: { kind: "jump", target: next },
    });
    if (last === undefined || !endsBlock(last)) return straight();
    const body = instructions.slice(start, end - 1);
    switch (last.parts[0]) {
      case "bra": {
        const taken = targetOf(last);
        if (last.guard === undefined) return { body, terminator: { kind: "jump", target: taken } };
        const { reg: predicate, negated } = last.guard;
        return { body, terminator: { kind: "branch", predicate, negated, taken, next } };
      }
      case "ret":
      case "exit":
        return { body, terminator: { kind: "exit", guard: last.guard, next } };
      case "bar":
      case "barrier":
        return { body, terminator: { kind: "barrier", instruction: last, next } };
      default:
        throw unsupported(last);
    }
  }) as { body: Instruction[]; terminator: Terminator }[];

  const successors = shapes.map(({ terminator }) => successorsOf(terminator, exit));
  const reconvergence = postDominators(successors);
  const reaches = reachesBarrier(
    shapes.map(({ terminator }) => terminator.kind === "barrier"),
    successors,
  );
  return shapes.map(({ body, terminator }, index) => ({
    index,
    instructions: body,
    terminator,
    successors: successors[index] ?? [],
    reconvergence: reconvergence[index] ?? exit,
    reachesBarrier: reaches[index] ?? false,
  }));
}

/** True for what must end a block: control flow, and barriers, where a warp may stop. */
function endsBlock(instruction: Instruction): boolean {
  switch (instruction.parts[0]) {
    case "bra":
    case "brx":
    case "ret":
    case "exit":
      return true;
    case "bar":
    case "barrier":
      return isBlocking(instruction);
    default:
      return false;
  }
}

function isBlocking({ parts }: Instruction): boolean {
  return !parts.includes("arrive") && !parts.includes("warp");
}

function successorsOf(terminator: Terminator, exit: number): number[] {
  switch (terminator.kind) {
    case "jump":
      return [terminator.target];
    case "branch":
      return terminator.taken === terminator.next
        ? [terminator.next]
        : [terminator.taken, terminator.next];
    case "exit":
      return terminator.guard === undefined ? [exit] : [terminator.next, exit];
    case "barrier":
      return [terminator.next];
    default:
      return terminator satisfies never;
  }
}

/** Immediate post-dominator of each block (Cooper, Harvey and Kennedy's iteration, backwards). */
function postDominators(successors: readonly (readonly number[])[]): number[] {
  const exit = successors.length;
  const predecessors: number[][] = Array.from({ length: exit + 1 }, () => []);
  for (const [from, targets] of successors.entries()) {
    for (const to of targets) predecessors[to]?.push(from);
  }
  // Reverse postorder of the reversed graph; blocks that never reach the exit are left out.
  const order: number[] = [];
  const seen = new Set<number>([exit]);
  const visit: { block: number; next: number }[] = [{ block: exit, next: 0 }];
  for (let top = visit.at(-1); top !== undefined; top = visit.at(-1)) {
    const to = predecessors[top.block]?.[top.next++];
    if (to === undefined) {
      order.push(top.block);
      visit.pop();
    } else if (!seen.has(to)) {
      seen.add(to);
      visit.push({ block: to, next: 0 });
    }
  }
  order.reverse();
  const rank = new Map(order.map((block, at) => [block, at] as const));
  const dominator = new Array<number>(exit + 1).fill(-1);
  dominator[exit] = exit;
  const intersect = (left: number, right: number): number => {
    let a = left;
    let b = right;
    while (a !== b) {
      if ((rank.get(a) ?? 0) > (rank.get(b) ?? 0)) a = dominator[a] ?? exit;
      else b = dominator[b] ?? exit;
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of order) {
      if (block === exit) continue;
      let found = -1;
      for (const to of successors[block] ?? []) {
        if ((dominator[to] ?? -1) === -1) continue;
        found = found === -1 ? to : intersect(found, to);
      }
      if (found !== dominator[block]) {
        dominator[block] = found;
        changed = true;
      }
    }
  }
  return dominator.slice(0, exit).map((block) => (block === -1 ? exit : block));
}

function reachesBarrier(
  isBarrier: readonly boolean[],
  successors: readonly (readonly number[])[],
): boolean[] {
  const reaches = [...isBarrier];
  for (let changed = true; changed; ) {
    changed = false;
    for (let block = reaches.length - 1; block >= 0; block--) {
      if (reaches[block] || !(successors[block] ?? []).some((to) => reaches[to])) continue;
      reaches[block] = true;
      changed = true;
    }
  }
  return reaches;
}

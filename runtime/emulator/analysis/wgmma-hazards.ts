/**
 * Registers that belong to a wgmma under way. From `mma_async` to the `wait_group` of its group the
 * accumulators may be neither read nor written and A's fragments not written; and what was written
 * before reaches `mma_async` only through a `wgmma.fence`. Followed over all paths of the PTX.
 *
 * NVRTC moves what sets registers past a wgmma.fence, and ptxas copes with that: so it is enough
 * that a group has a fence somewhere before its first product.
 */
import { defUse, registersOf } from "../ptx/operands.ts";
import type { Instruction, Register } from "../ptx/ptx.ts";
import type { Block } from "./cfg.ts";

export interface Hazard {
  readonly kind: "missing-wait" | "missing-fence";
  /** The instruction at fault, and what it does. */
  readonly instruction: Instruction;
  readonly what: string;
}

/** What holds at a point of the program. */
interface State {
  /** By mma_async under way: groups committed since, its own included; 0 while its group is open. */
  readonly ages: Map<Instruction, number>;
  /** Registers written since the last wgmma.fence, by the last instruction seen to do so. */
  readonly written: Map<Register, Instruction>;
  /** The open group has a fence. */
  fenced: boolean;
}

interface Fragments {
  readonly accumulators: ReadonlySet<Register>;
  readonly a: ReadonlySet<Register>;
}

const known = new WeakMap<readonly Block[], ReadonlyMap<Instruction, readonly Hazard[]>>();

/** Hazards of a kernel by the mma_async that they meet; worked out once. */
export function wgmmaHazards(
  blocks: readonly Block[],
): ReadonlyMap<Instruction, readonly Hazard[]> {
  const found = known.get(blocks) ?? new Analysis(blocks).hazards;
  known.set(blocks, found);
  return found;
}

class Analysis {
  readonly hazards = new Map<Instruction, Hazard[]>();
  readonly #fragments = new Map<Instruction, Fragments>();
  /** By register: products it is a part of. */
  readonly #users = new Map<Register, Instruction[]>();
  readonly #seen = new Set<string>();

  constructor(blocks: readonly Block[]) {
    for (const instruction of blocks.flatMap((block) => block.instructions)) {
      if (isProduct(instruction)) this.#add(instruction);
    }
    if (this.#fragments.size === 0) return;
    const states = blocks.map((): State | undefined => undefined);
    states[0] = { ages: new Map(), written: new Map(), fenced: false };
    const todo = new Set([0]);
    for (const index of todo) {
      todo.delete(index);
      const [block, before] = [blocks[index], states[index]];
      if (block === undefined || before === undefined) continue;
      const state = copyOf(before);
      for (const instruction of block.instructions) this.#step(state, instruction);
      for (const next of block.successors) {
        if (next >= blocks.length) continue;
        const [joined, changed] = join(states[next], state);
        states[next] = joined;
        if (changed) todo.add(next);
      }
    }
    for (const [index, block] of blocks.entries()) {
      const before = states[index];
      if (before === undefined) continue;
      const state = copyOf(before);
      for (const instruction of block.instructions) {
        this.#look(state, instruction);
        this.#step(state, instruction);
      }
    }
  }

  #add(product: Instruction): void {
    const [d, a] = product.operands;
    const accumulators = new Set(d === undefined ? [] : registersOf(d));
    const fragments = new Set(a?.kind === "vector" ? registersOf(a) : []);
    this.#fragments.set(product, { accumulators, a: fragments });
    for (const register of [...accumulators, ...fragments]) {
      const users = this.#users.get(register) ?? [];
      users.push(product);
      this.#users.set(register, users);
    }
  }

  #step(state: State, instruction: Instruction): void {
    const { ages, written } = state;
    if (instruction.parts[0] !== "wgmma") {
      for (const register of defUse(instruction).defs) {
        if (this.#users.has(register)) written.set(register, instruction);
      }
      return;
    }
    switch (instruction.parts[1]) {
      case "mma_async":
        ages.set(instruction, 0);
        break;
      case "fence":
        written.clear();
        state.fenced = true;
        break;
      case "commit_group":
        for (const [product, age] of ages) ages.set(product, age + 1);
        state.fenced = false;
        break;
      case "wait_group": {
        const [count] = instruction.operands;
        const keep = count?.kind === "int" ? Number(count.value) : 0;
        for (const [product, age] of ages) if (age > keep) ages.delete(product);
        break;
      }
    }
  }

  /** Is the instruction allowed in this state? */
  #look({ ages, written, fenced }: State, instruction: Instruction): void {
    const own = this.#fragments.get(instruction);
    if (own !== undefined && !fenced) {
      for (const register of [...own.accumulators, ...own.a]) {
        const writer = written.get(register);
        if (writer === undefined) continue;
        const what = `writes ${register.name}, and there is no wgmma.fence between it and a ${instruction.opcode} of it`;
        this.#report(instruction, { kind: "missing-fence", instruction: writer, what });
      }
    }
    if (ages.size === 0) return;
    const { defs, uses } = defUse(instruction);
    // Products one after another may share accumulators, which counts as neither here.
    const reads = own === undefined ? uses : [...own.a];
    for (const [verb, registers] of [
      ["reads", reads],
      ["writes", own === undefined ? defs : []],
    ] as const) {
      for (const register of registers) {
        for (const product of this.#users.get(register) ?? []) {
          if (!ages.has(product)) continue;
          const isAccumulator = this.#fragments.get(product)?.accumulators.has(register) === true;
          if (verb === "reads" && !isAccumulator) continue;
          const role = isAccumulator ? "an accumulator" : "a fragment of A";
          const what = `${verb} ${register.name}, ${role} of a ${product.opcode} that has not been waited for`;
          this.#report(product, { kind: "missing-wait", instruction, what });
        }
      }
    }
  }

  /** One finding for every kind at every instruction. */
  #report(product: Instruction, hazard: Hazard): void {
    const key = `${product.ptxLine} ${hazard.instruction.ptxLine} ${hazard.kind}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const found = this.hazards.get(product) ?? [];
    found.push(hazard);
    this.hazards.set(product, found);
  }
}

function isProduct({ parts }: Instruction): boolean {
  return parts[0] === "wgmma" && parts[1] === "mma_async";
}

function copyOf({ ages, written, fenced }: State): State {
  return { ages: new Map(ages), written: new Map(written), fenced };
}

/** What holds where paths meet, and whether that is more than what was known. */
function join(known: State | undefined, next: State): readonly [State, boolean] {
  if (known === undefined) return [copyOf(next), true];
  let changed = known.fenced && !next.fenced;
  known.fenced &&= next.fenced;
  for (const [product, age] of next.ages) {
    const before = known.ages.get(product);
    if (before !== undefined && before <= age) continue;
    known.ages.set(product, age);
    changed = true;
  }
  for (const [register, writer] of next.written) {
    if (known.written.has(register)) continue;
    known.written.set(register, writer);
    changed = true;
  }
  return [known, changed];
}

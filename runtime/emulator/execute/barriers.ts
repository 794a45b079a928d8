/** bar.sync, bar.red, bar.arrive and barrier.cluster: who waits, and what lets them go. */
import { WARP, HEADER } from "../layout.ts";
import type { Instruction, Operand } from "../ptx/ptx.ts";
import { Operation, firstLane, hex } from "../operations/operation.ts";
import type { Kernel } from "./kernel.ts";
import type { Machine } from "./machine.ts";
import type { BarrierState, BlockState, WarpState } from "./state.ts";

/** How a barrier instruction of a kernel is to be executed, worked out once. */
interface BarrierPlan {
  readonly op: Operation;
  readonly cluster: boolean;
  readonly id: (warp: number, mask: number) => number;
  readonly count: ((warp: number, mask: number) => number) | undefined;
  readonly reduction:
    | {
        readonly kind: "and" | "or" | "popc";
        readonly predicate: (warp: number) => number;
        readonly write: (warp: number, lane: number, value: number) => void;
      }
    | undefined;
  readonly guard: ((warp: number) => number) | undefined;
}

const plans = new WeakMap<Instruction, BarrierPlan>();

function planOf(instruction: Instruction, kernel: Kernel, machine: Machine): BarrierPlan {
  const known = plans.get(instruction);
  if (known !== undefined && known.op.machine === machine) return known;
  const op = new Operation(instruction, kernel.context, machine);
  const { parts, operands, guard } = instruction;
  const cluster = parts[1] === "cluster";
  const reduces = parts.includes("red");
  const rest: readonly Operand[] = reduces ? operands.slice(1) : operands;
  const last = rest.at(-1);
  const ids = reduces ? rest.slice(0, -1) : rest;
  const [id, count] = ids;
  const kind = parts.includes("and") ? "and" : parts.includes("or") ? "or" : "popc";
  const plan: BarrierPlan = {
    op,
    cluster,
    id: cluster || id === undefined ? () => 0 : op.uniform(id),
    count: count === undefined ? undefined : op.uniform(count),
    reduction:
      reduces && last !== undefined
        ? { kind, predicate: op.predicate(last), write: op.writer(op.operand(0)) }
        : undefined,
    guard:
      guard === undefined
        ? undefined
        : op.predicate({ kind: guard.negated ? "not" : "reg", reg: guard.reg }),
  };
  plans.set(instruction, plan);
  return plan;
}

/** A warp has stopped before a barrier: counts it in, and wakes everybody if it was the last. */
export function arriveAndWait(machine: Machine, kernel: Kernel, warp: WarpState): void {
  const { i32 } = machine;
  const at = (i32[(warp.base + HEADER.pc) >> 2] ?? 0) - 1;
  const terminator = kernel.blocks[at]?.terminator;
  if (terminator?.kind !== "barrier") throw new Error("a warp stops at barriers only");
  const { instruction } = terminator;
  const plan = planOf(instruction, kernel, machine);
  const { launch, block } = machine.position;
  let mask = i32[(warp.base + HEADER.mask) >> 2] ?? 0;
  if (plan.guard !== undefined) mask &= plan.guard(warp.base);
  if (mask === 0) return;
  const alive = plan.op.alive(warp.base);
  if (mask !== alive) {
    machine.abort(
      "barrier-divergence",
      `${instruction.opcode} is reached by lanes ${hex(mask)} of a warp whose lanes ${hex(alive & ~mask)} are elsewhere`,
      instruction,
      firstLane(mask),
    );
  }
  if (plan.cluster) {
    if (warp.clusterPhase < block.cluster.phase) return;
    warp.status = "waiting";
    return;
  }
  const id = plan.id(warp.base, mask) >>> 0;
  const barrier = barrierOf(machine, block, id, instruction);
  const count = plan.count?.(warp.base, mask) ?? 0;
  checkCount(machine, count, instruction);
  if (plan.reduction !== undefined) {
    const votes = plan.reduction.predicate(warp.base) & mask;
    barrier.and &&= votes === mask;
    barrier.or ||= votes !== 0;
    for (let rest = votes; rest !== 0; rest &= rest - 1) barrier.count++;
  }
  barrier.arrived += WARP;
  barrier.expected = count;
  barrier.waiting.push({ warp, block: at });
  warp.status = "waiting";
  launch.events++;
  completeIfFull(machine, kernel, block, barrier);
}

function checkCount(machine: Machine, count: number, instruction: Instruction): void {
  if (count % WARP === 0) return;
  machine.abort(
    "barrier-divergence",
    `${instruction.opcode} waits for ${count} threads, which is not a multiple of ${WARP}`,
    instruction,
    0,
  );
}

function barrierOf(
  machine: Machine,
  block: BlockState,
  id: number,
  instruction: Instruction,
): BarrierState {
  if (id > 15) {
    machine.abort("unsupported", `there is no barrier ${id}: a block has 16`, instruction, 0);
  }
  let barrier = block.barriers.get(id);
  if (barrier === undefined) {
    barrier = { arrived: 0, expected: 0, waiting: [], and: true, or: false, count: 0 };
    block.barriers.set(id, barrier);
  }
  return barrier;
}

/** bar.arrive: counts the warp in without stopping it. */
export function arriveOnly(op: Operation): (warp: number, mask: number) => void {
  const { machine, instruction } = op;
  if (instruction.parts[1] === "cluster") {
    return () => {
      const { block, warp } = machine.position;
      const { cluster } = block;
      warp.clusterPhase = cluster.phase;
      cluster.arrived++;
      completeCluster(machine);
    };
  }
  const id = op.uniform(op.operand(0));
  const count = op.uniform(op.operand(1));
  return (warp, mask) => {
    const { launch, block } = machine.position;
    const barrier = barrierOf(machine, block, id(warp, mask) >>> 0, instruction);
    barrier.arrived += WARP;
    barrier.expected = count(warp, mask);
    checkCount(machine, barrier.expected, instruction);
    launch.events++;
    machine.sanitizer?.released();
    completeIfFull(machine, launch.kernel, block, barrier);
  };
}

function completeIfFull(
  machine: Machine,
  kernel: Kernel,
  block: BlockState,
  barrier: BarrierState,
): void {
  const running = block.warps.filter((warp) => warp.status !== "done").length;
  const needed = barrier.expected === 0 ? running * WARP : barrier.expected;
  if (barrier.arrived < needed || barrier.arrived === 0) return;
  const released = barrier.waiting.splice(0);
  const { and, or, count } = barrier;
  Object.assign(barrier, { arrived: 0, expected: 0, and: true, or: false, count: 0 });
  for (const { warp, block: at } of released) {
    const terminator = kernel.blocks[at]?.terminator;
    if (terminator?.kind === "barrier") {
      const { reduction, op } = planOf(terminator.instruction, kernel, machine);
      if (reduction !== undefined) {
        const truth = { and: and ? -1 : 0, or: or ? -1 : 0, popc: count }[reduction.kind];
        const alive = op.alive(warp.base);
        for (let lane = 0; lane < WARP; lane++) {
          if ((alive >>> lane) & 1) reduction.write(warp.base, lane, truth);
        }
      }
    }
    warp.status = "ready";
  }
  for (const warp of block.warps) warp.yielded = false;
  machine.sanitizer?.barrierCompleted(
    block,
    released.map(({ warp }) => warp),
  );
}

function completeCluster(machine: Machine): void {
  const { block, launch } = machine.position;
  const { cluster } = block;
  const warps = cluster.blocks.flatMap((member) => member.warps);
  const running = warps.filter((warp) => warp.status !== "done");
  if (cluster.arrived < running.length) return;
  cluster.arrived = 0;
  cluster.phase++;
  launch.events++;
  for (const member of cluster.blocks) {
    const waiting = member.warps.filter(
      (warp) => warp.status === "waiting" && isAtCluster(member, warp),
    );
    for (const warp of waiting) warp.status = "ready";
    for (const warp of member.warps) warp.yielded = false;
  }
  machine.sanitizer?.clusterCompleted(cluster);
}

/** True for a warp that waits, but at none of its block's own barriers. */
function isAtCluster(block: BlockState, warp: WarpState): boolean {
  for (const barrier of block.barriers.values()) {
    if (barrier.waiting.some((entry) => entry.warp === warp)) return false;
  }
  return true;
}

/** A warp has ended: barriers no longer wait for it. */
export function warpEnded(machine: Machine, kernel: Kernel, block: BlockState): void {
  for (const barrier of block.barriers.values()) {
    if (barrier.expected === 0) completeIfFull(machine, kernel, block, barrier);
  }
  const { cluster } = block;
  if (cluster.arrived > 0) completeCluster(machine);
}

/** What the warps of a block wait for, when nothing can go on any more. */
export function describeWaiting(
  kernel: Kernel,
  block: BlockState,
): {
  readonly message: string;
  readonly instruction: Instruction | undefined;
  readonly warp: WarpState | undefined;
} {
  let instruction: Instruction | undefined;
  let first: WarpState | undefined;
  const parts: string[] = [];
  for (const [id, barrier] of block.barriers) {
    if (barrier.waiting.length === 0) continue;
    for (const { warp, block: at } of barrier.waiting) {
      const terminator = kernel.blocks[at]?.terminator;
      if (terminator?.kind !== "barrier") continue;
      instruction ??= terminator.instruction;
      first ??= warp;
    }
    const needed = barrier.expected === 0 ? "all threads" : `${barrier.expected} threads`;
    const warps = barrier.waiting.map(({ warp }) => warp.index).join(", ");
    parts.push(`barrier ${id} has ${barrier.arrived} of ${needed} (warps ${warps} wait)`);
  }
  return { message: parts.join("; "), instruction, warp: first };
}

/**
 * mbarrier objects: they count arrivals and bytes of bulk copies, and flip their phase when both
 * are complete. What is under way towards a barrier lands when somebody asks whether it is done.
 */
import type { Machine } from "../execute/machine.ts";
import { type BlockState, blockExtra } from "../execute/state.ts";
import { outstanding } from "./async-copy.ts";
import type { Handler, Operation } from "./operation.ts";
import { eachLane } from "./warp-operations.ts";

export interface MBarrier {
  /** Arrivals a phase takes, and those still missing. */
  expected: number;
  pending: number;
  /** Bytes still to come; negative while copies are ahead of the expectation. */
  bytes: number;
  /** Phases completed. */
  phase: number;
  /** Copies and arrivals that happen when somebody waits. */
  readonly underWay: (() => void)[];
}

const barriersKey = {};

function barriersOf(block: BlockState): Map<number, MBarrier> {
  return blockExtra(block, barriersKey, () => new Map<number, MBarrier>());
}

/** The barrier at a shared-window address. */
export function barrierAt(op: Operation, address: number, lane: number): MBarrier {
  const { block, offset } = op.sharedPlace(address);
  const found = barriersOf(block).get(offset);
  if (found !== undefined) return found;
  const message = `${op.instruction.opcode} uses an mbarrier at offset ${offset} of shared memory that was not initialised`;
  return op.machine.abort("uninitialized", message, op.instruction, lane);
}

export function complete(machine: Machine, barrier: MBarrier): void {
  if (barrier.pending > 0 || barrier.bytes !== 0) return;
  barrier.pending = barrier.expected;
  barrier.phase++;
  const { launch, block } = machine.position;
  launch.events++;
  for (const member of block.cluster.blocks) {
    for (const warp of member.warps) warp.yielded = false;
  }
}

export function arrive(machine: Machine, barrier: MBarrier, count: number): void {
  barrier.pending -= count;
  machine.position.launch.events++;
  machine.sanitizer?.released();
  complete(machine, barrier);
}

export function mbarrier(op: Operation): Handler {
  const { parts } = op.instruction;
  switch (parts[1]) {
    case "init":
      return initialize(op);
    case "inval":
      return invalidate(op);
    case "arrive":
    case "arrive_drop":
      return arriving(op);
    case "expect_tx":
    case "complete_tx":
      return changeBytes(op);
    case "test_wait":
    case "try_wait":
      return waiting(op);
    default:
      return op.fail();
  }
}

function initialize(op: Operation): Handler {
  const at = op.address(op.operand(0), "shared");
  const count = op.reader(op.operand(1));
  const { machine, instruction } = op;
  const addresses = new Float64Array(32);
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      addresses[lane] = at(warp, lane);
    });
    machine.sanitizer?.access({
      instruction,
      kind: "write",
      space: "shared",
      lanes: mask,
      addresses,
      bytes: 8,
    });
    eachLane(mask, (lane) => {
      const { block, offset } = op.sharedPlace(addresses[lane] ?? 0);
      const expected = count(warp, lane);
      barriersOf(block).set(offset, {
        expected,
        pending: expected,
        bytes: 0,
        phase: 0,
        underWay: [],
      });
    });
  };
}

function invalidate(op: Operation): Handler {
  const at = op.address(op.operand(0), "shared");
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      const { block, offset } = op.sharedPlace(at(warp, lane));
      barriersOf(block).delete(offset);
    });
  };
}

/** arrive{.expect_tx} state, [barrier]{, count or bytes}: the state is the phase it counts for. */
function arriving(op: Operation): Handler {
  const { machine, instruction } = op;
  const hasState = op.operand(0).kind !== "address";
  const state = hasState ? op.writer(op.operand(0)) : undefined;
  const at = op.address(op.operand(hasState ? 1 : 0), "shared");
  const last = instruction.operands[hasState ? 2 : 1];
  const amount = last === undefined ? undefined : op.reader(last);
  const expects = op.has("expect_tx");
  const drops = instruction.parts[1] === "arrive_drop";
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      const barrier = barrierAt(op, at(warp, lane), lane);
      const given = amount?.(warp, lane) ?? 1;
      state?.(warp, lane, barrier.phase);
      if (expects) barrier.bytes += given;
      if (drops) barrier.expected -= expects ? 1 : given;
      const count = expects ? 1 : given;
      if (count > barrier.pending) {
        machine.abort(
          "deadlock",
          `${instruction.opcode} arrives at an mbarrier whose phase waits for ${barrier.pending} more`,
          instruction,
          lane,
        );
      }
      arrive(machine, barrier, count);
    });
  };
}

function changeBytes(op: Operation): Handler {
  const at = op.address(op.operand(0), "shared");
  const amount = op.reader(op.operand(1));
  const sign = op.instruction.parts[1] === "expect_tx" ? 1 : -1;
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      const barrier = barrierAt(op, at(warp, lane), lane);
      barrier.bytes += sign * amount(warp, lane);
      complete(op.machine, barrier);
    });
  };
}

function waiting(op: Operation): Handler {
  const { machine } = op;
  const done = op.writer(op.operand(0));
  const at = op.address(op.operand(1), "shared");
  const token = op.reader(op.operand(2));
  const byParity = op.has("parity");
  return (warp, mask) => {
    let acquired = false;
    // Lanes that ask for the same phase get the same answer.
    let address = Number.NaN;
    let wanted = Number.NaN;
    let over = false;
    eachLane(mask, (lane) => {
      const nextAddress = at(warp, lane);
      const nextWanted = token(warp, lane);
      if (nextAddress !== address || nextWanted !== wanted) {
        address = nextAddress;
        wanted = nextWanted;
        const barrier = barrierAt(op, address, lane);
        over = isOver(barrier, wanted, byParity);
        if (!over) {
          for (const step of barrier.underWay.splice(0)) step();
          over = isOver(barrier, wanted, byParity);
        }
      }
      done(warp, lane, over ? -1 : 0);
      if (over) acquired = true;
      else machine.position.warp.waitFailed = true;
    });
    if (acquired) machine.sanitizer?.acquired();
  };
}

function isOver({ phase }: MBarrier, wanted: number, byParity: boolean): boolean {
  return byParity ? (phase & 1) !== (wanted & 1) : phase > wanted;
}

/** cp.async.mbarrier.arrive{.noinc} [barrier]: arrives when the thread's copies have landed. */
export function arriveAfterCopies(op: Operation): Handler {
  const { machine } = op;
  const at = op.address(op.operand(0), "shared");
  const counted = !op.has("noinc");
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      const barrier = barrierAt(op, at(warp, lane), lane);
      if (counted) barrier.pending++;
      const landCopies = outstanding(machine, lane);
      barrier.underWay.push(() => {
        landCopies();
        arrive(machine, barrier, 1);
      });
    });
  };
}

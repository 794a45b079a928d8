/** cp.async.bulk without tensor maps: long copies that complete on an mbarrier or in a group. */
import { blockExtra, type BlockState, type WarpState } from "../execute/state.ts";
import { barrierAt, complete } from "./mbarrier.ts";
import type { Handler, Operation } from "./operation.ts";
import { eachLane } from "./warp-operations.ts";

const ALIGN = 16;

export function bulkCopy(op: Operation): Handler {
  const { parts } = op.instruction;
  if (parts.includes("prefetch")) return () => {};
  if (parts.includes("commit_group")) return bulkCommit(op);
  if (parts.includes("wait_group")) return bulkWait(op);
  if (parts.includes("bulk_group") === parts.some(isCompletion)) return op.fail();
  return parts.includes("bulk_group") ? toGlobal(op) : toShared(op);
}

const isCompletion = (part: string): boolean => part.startsWith("mbarrier::complete_tx");

const one = new Float64Array(32);

/** Tells the sanitiser of `bytes` bytes that a lane's copy reads or writes. */
export function touch(
  op: Operation,
  kind: "read" | "write",
  space: "global" | "shared",
  lane: number,
  address: number,
  bytes: number,
  align: number = ALIGN,
): void {
  if (address % align !== 0 || bytes % align !== 0) {
    const message = `${op.instruction.opcode} copies ${bytes} bytes ${kind === "read" ? "from" : "to"} address ${address}: both must be multiples of ${align}`;
    op.machine.abort("misaligned", message, op.instruction, lane);
  }
  one[lane] = address;
  op.machine.sanitizer?.access({
    instruction: op.instruction,
    kind,
    space,
    lanes: 1 << lane,
    addresses: one,
    bytes,
    align,
  });
}

/** To the shared memory of this or another block, from global or this block's shared memory. */
function toShared(op: Operation): Handler {
  const { machine, instruction } = op;
  const { parts } = instruction;
  const targetAt = parts.findIndex((part) => part.startsWith("shared::"));
  const fromShared = parts[targetAt + 1] === "shared::cta";
  const to = op.address(op.operand(0), "shared");
  const from = op.address(op.operand(1), fromShared ? "shared" : "global");
  const size = op.reader(op.operand(2));
  const barrier = op.address(op.operand(3), "shared");
  const multicast = parts.includes("multicast::cluster") ? op.reader(op.operand(4)) : undefined;
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      const bytes = size(warp, lane) >>> 0;
      const target = to(warp, lane);
      const origin = from(warp, lane);
      const done = barrier(warp, lane);
      touch(op, "read", fromShared ? "shared" : "global", lane, origin, bytes);
      const source = fromShared ? op.sharedLinear(origin) : origin;
      deliver(op, lane, target, done, multicast?.(warp, lane), bytes, (at) => {
        machine.u8.copyWithin(at, source, source + bytes);
      });
    });
  };
}

/**
 * Sends `bytes` bytes to `target`, or its like in each of `blocks`, on their way: they land when a
 * barrier that they complete on is asked. `land` gets the linear address and the window's offset.
 */
export function deliver(
  op: Operation,
  lane: number,
  target: number,
  barrier: number,
  blocks: number | undefined,
  bytes: number,
  land: (at: number, offset: number) => void,
): void {
  const { machine } = op;
  for (const [address, completion] of destinations(op, target, barrier, blocks)) {
    touch(op, "write", "shared", lane, address, bytes);
    const { block, offset } = op.sharedPlace(address);
    const object = barrierAt(op, completion, lane);
    machine.sanitizer?.pendingRange(block, offset, bytes, 1);
    object.underWay.push(() => {
      land(block.sharedBase + offset, offset);
      machine.sanitizer?.pendingRange(block, offset, bytes, -1);
      object.bytes -= bytes;
      complete(machine, object);
    });
  }
}

/** A multicast goes to the same offsets of every block whose bit is set. */
function destinations(
  op: Operation,
  target: number,
  barrier: number,
  blocks: number | undefined,
): readonly (readonly [number, number])[] {
  if (blocks === undefined) return [[target, barrier]];
  const { cluster } = op.machine.position.block;
  return cluster.blocks.flatMap((_, rank) => {
    if (((blocks >>> rank) & 1) === 0) return [];
    const window = (rank + 1) * 2 ** 24;
    return [[window + (target % 2 ** 24), window + (barrier % 2 ** 24)] as const];
  });
}

interface BulkGroups {
  open: (() => void)[];
  groups: (() => void)[][];
}

const groupsKey = {};

function groupsOf(op: Operation): BulkGroups {
  const { block, warp } = op.machine.position;
  const all = blockExtra(block, groupsKey, () => new Map<WarpState, BulkGroups>());
  let found = all.get(warp);
  if (found === undefined) {
    found = { open: [], groups: [] };
    all.set(warp, found);
  }
  return found;
}

function toGlobal(op: Operation): Handler {
  const { machine } = op;
  const to = op.address(op.operand(0), "global");
  const from = op.address(op.operand(1), "shared");
  const size = op.reader(op.operand(2));
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      const bytes = size(warp, lane) >>> 0;
      const [target, origin] = [to(warp, lane), from(warp, lane)];
      touch(op, "read", "shared", lane, origin, bytes);
      touch(op, "write", "global", lane, target, bytes);
      const { block, offset }: { block: BlockState; offset: number } = op.sharedPlace(origin);
      groupsOf(op).open.push(() => {
        const start = block.sharedBase + offset;
        machine.u8.copyWithin(target, start, start + bytes);
      });
    });
  };
}

function bulkCommit(op: Operation): Handler {
  return () => {
    const groups = groupsOf(op);
    groups.groups.push(groups.open);
    groups.open = [];
  };
}

function bulkWait(op: Operation): Handler {
  const keep = op.uniform(op.operand(0));
  return (warp, mask) => {
    const { groups } = groupsOf(op);
    const count = Math.max(groups.length - keep(warp, mask), 0);
    for (const step of groups.splice(0, count).flat()) step();
  };
}

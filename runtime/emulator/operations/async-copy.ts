/**
 * cp.async: copies that land when their group is waited for and not before, so that a kernel that
 * forgets to wait sees what it would see on the slowest device.
 */
import { blockExtra, type WarpState } from "../execute/state.ts";
import type { Machine } from "../execute/machine.ts";
import type { Handler, Operation } from "./operation.ts";
import { eachLane } from "./warp-operations.ts";

export interface LaneCopy {
  readonly lane: number;
  /** Linear addresses. */
  readonly to: number;
  readonly from: number;
  readonly bytes: number;
  /** Bytes past these become zero. */
  readonly sourceBytes: number;
  /** Offset in the block's shared window. */
  readonly offset: number;
  done: boolean;
}

interface Group {
  readonly lanes: number;
  readonly copies: readonly LaneCopy[];
}

interface WarpCopies {
  open: LaneCopy[];
  groups: Group[];
}

const copiesKey = {};

function copiesOf(machine: Machine): WarpCopies {
  const { block, warp } = machine.position;
  const all = blockExtra(block, copiesKey, () => new Map<WarpState, WarpCopies>());
  let found = all.get(warp);
  if (found === undefined) {
    found = { open: [], groups: [] };
    all.set(warp, found);
  }
  return found;
}

/** cp.async.{ca,cg}.shared.global [to], [from], size{, source size}. */
export function copyAsync(op: Operation): Handler {
  const { machine, instruction } = op;
  const to = op.address(op.operand(0), "shared");
  const from = op.address(op.operand(1), "global");
  const size = op.operand(2);
  if (size.kind !== "int") return op.fail("a size that is no literal");
  const bytes = Number(size.value);
  const hasHint = instruction.parts.some((part) => part.endsWith("cache_hint"));
  const sources = instruction.operands.slice(3, hasHint ? -1 : undefined);
  const [last] = sources;
  const isPredicate = last?.kind === "not" || (last?.kind === "reg" && last.reg.bits === 1);
  const sourceSize = last === undefined ? undefined : op.reader(last);
  const targets = new Float64Array(32);
  const origins = new Float64Array(32);
  return (warp, mask) => {
    const copies = copiesOf(machine);
    let reading = 0;
    eachLane(mask, (lane) => {
      const given = sourceSize?.(warp, lane) ?? bytes;
      const sourceBytes = isPredicate ? (given !== 0 ? 0 : bytes) : Math.min(given >>> 0, bytes);
      const address = to(warp, lane);
      const { block, offset } = op.sharedPlace(address);
      targets[lane] = address;
      origins[lane] = from(warp, lane);
      if (sourceBytes > 0) reading |= 1 << lane;
      copies.open.push({
        lane,
        to: block.sharedBase + offset,
        from: origins[lane] ?? 0,
        bytes,
        sourceBytes,
        offset,
        done: false,
      });
    });
    const { sanitizer } = machine;
    if (sanitizer === undefined) return;
    const access = { instruction, bytes };
    sanitizer.access({
      ...access,
      kind: "read",
      space: "global",
      lanes: reading,
      addresses: origins,
    });
    sanitizer.access({
      ...access,
      kind: "write",
      space: "shared",
      lanes: mask,
      addresses: targets,
    });
    const { block } = machine.position;
    eachLane(mask, (lane) => sanitizer.pending(block, targets[lane] ?? 0, bytes, 1));
  };
}

/** Lets a copy land, once. */
export function land(machine: Machine, copy: LaneCopy): void {
  if (copy.done) return;
  copy.done = true;
  const { i32, u8 } = machine;
  if (((copy.to | copy.from | copy.sourceBytes) & 3) === 0) {
    for (let at = 0; at < copy.sourceBytes; at += 4) {
      i32[(copy.to + at) >> 2] = i32[(copy.from + at) >> 2] ?? 0;
    }
  } else u8.copyWithin(copy.to, copy.from, copy.from + copy.sourceBytes);
  u8.fill(0, copy.to + copy.sourceBytes, copy.to + copy.bytes);
  machine.sanitizer?.pending(machine.position.block, copy.offset, copy.bytes, -1);
}

function commit(copies: WarpCopies, lanes: number): void {
  const isChosen = (copy: LaneCopy): boolean => ((lanes >>> copy.lane) & 1) === 1;
  copies.groups.push({ lanes, copies: copies.open.filter(isChosen) });
  copies.open = copies.open.filter((copy) => !isChosen(copy));
}

/** Lets all but the last `keep` groups of each lane land. */
function wait(machine: Machine, copies: WarpCopies, lanes: number, keep: number): void {
  const newer = new Uint8Array(32);
  for (const group of copies.groups.toReversed()) {
    for (const copy of group.copies) {
      if (((lanes >>> copy.lane) & 1) === 1 && (newer[copy.lane] ?? 0) >= keep) land(machine, copy);
    }
    eachLane(group.lanes, (lane) => {
      newer[lane] = Math.min((newer[lane] ?? 0) + 1, 255);
    });
  }
  while (copies.groups[0]?.copies.every(({ done }) => done) && copies.groups.length > keep) {
    copies.groups.shift();
  }
}

export function commitGroup(op: Operation): Handler {
  return (_warp, mask) => commit(copiesOf(op.machine), mask);
}

export function waitGroup(op: Operation): Handler {
  const { machine } = op;
  const all = op.has("wait_all");
  const keep = all ? undefined : op.uniform(op.operand(0));
  return (warp, mask) => {
    const copies = copiesOf(machine);
    if (all) commit(copies, mask);
    wait(machine, copies, mask, keep?.(warp, mask) ?? 0);
  };
}

/** Copies of a lane that have not landed, for an mbarrier that waits for them. */
export function outstanding(machine: Machine, lane: number): readonly LaneCopy[] {
  const copies = copiesOf(machine);
  return [...copies.groups.flatMap((group) => group.copies), ...copies.open].filter(
    (copy) => copy.lane === lane && !copy.done,
  );
}

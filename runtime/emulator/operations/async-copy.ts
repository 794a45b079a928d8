/**
 * cp.async: copies that land when their group is waited for and not before, so that a kernel that
 * forgets to wait sees what it would see on the slowest device.
 */
import { blockExtra, type WarpState } from "../execute/state.ts";
import type { Machine } from "../execute/machine.ts";
import type { OperationAccess } from "../execute/run-observer.ts";
import { firstLane, type Handler, type Operation } from "./operation.ts";

/** One cp.async of a warp. */
export interface WarpCopy {
  /** Lanes whose copies have not landed. */
  left: number;
  /** By lane: linear addresses, and bytes that are copied; the rest becomes zero. */
  readonly to: Uint32Array;
  readonly from: Uint32Array;
  readonly sourceBytes: Uint8Array;
  bytes: number;
  /** Linear address of the block's shared window. */
  window: number;
  /** An mbarrier waits for it too, so it must not be used again. */
  shared: boolean;
}

/** Records that are free: a kernel makes millions, one after the other. */
const free: WarpCopy[] = [];

function newCopy(lanes: number, bytes: number, window: number): WarpCopy {
  const copy = free.pop();
  if (copy === undefined) {
    return {
      left: lanes,
      to: new Uint32Array(32),
      from: new Uint32Array(32),
      sourceBytes: new Uint8Array(32),
      bytes,
      window,
      shared: false,
    };
  }
  copy.left = lanes;
  copy.bytes = bytes;
  copy.window = window;
  return copy;
}

interface Group {
  readonly lanes: number;
  readonly copies: readonly WarpCopy[];
}

interface WarpCopies {
  open: { readonly lanes: number; readonly copy: WarpCopy }[];
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

type Mutable = { -readonly [K in keyof OperationAccess]: OperationAccess[K] };

const targets = new Float64Array(32);
const origins = new Float64Array(32);

/** cp.async.{ca,cg}.shared.global [to], [from], size{, source size}. */
export function copyAsync(op: Operation): Handler {
  const { machine, instruction } = op;
  const to = op.addresses(op.operand(0), "shared");
  const from = op.addresses(op.operand(1), "global");
  const size = op.operand(2);
  if (size.kind !== "int") return op.fail("a size that is no literal");
  const bytes = Number(size.value);
  const hasHint = instruction.parts.some((part) => part.endsWith("cache_hint"));
  const sources = instruction.operands.slice(3, hasHint ? -1 : undefined);
  const [last] = sources;
  const isPredicate = last?.kind === "not" || (last?.kind === "reg" && last.reg.bits === 1);
  const sourceSize = last === undefined ? undefined : op.reader(last);
  // Made once: the sanitiser remembers what it worked out for them.
  const source: Mutable = {
    instruction,
    kind: "read",
    space: "global",
    lanes: 0,
    addresses: origins,
    bytes,
  };
  const target: Mutable = {
    instruction,
    kind: "write",
    space: "shared",
    lanes: 0,
    addresses: targets,
    bytes,
  };
  return (warp, mask) => {
    const { block } = machine.position;
    const copy = newCopy(mask, bytes, block.sharedBase);
    to(warp, mask, targets);
    from(warp, mask, origins);
    let reading = mask;
    for (let rest = mask; rest !== 0; rest &= rest - 1) {
      const lane = firstLane(rest);
      let sourceBytes = bytes;
      if (sourceSize !== undefined) {
        const given = sourceSize(warp, lane);
        sourceBytes = isPredicate ? (given !== 0 ? 0 : bytes) : Math.min(given >>> 0, bytes);
        if (sourceBytes === 0) reading &= ~(1 << lane);
      }
      const at = targets[lane] ?? 0;
      copy.to[lane] = at < 2 ** 24 ? copy.window + at : op.sharedLinear(at);
      copy.from[lane] = origins[lane] ?? 0;
      copy.sourceBytes[lane] = sourceBytes;
    }
    copiesOf(machine).open.push({ lanes: mask, copy });
    const { sanitizer } = machine;
    if (sanitizer === undefined) return;
    source.lanes = reading;
    sanitizer.access(source);
    target.lanes = mask;
    sanitizer.access(target);
    sanitizer.pending(block, mask, targets, bytes, 1);
  };
}

/** Lets the copies of some lanes land, each once. */
function land(machine: Machine, copy: WarpCopy, lanes: number): void {
  const { i32, u8, sanitizer } = machine;
  const { block } = machine.position;
  const { bytes } = copy;
  for (let rest = copy.left & lanes; rest !== 0; rest &= rest - 1) {
    const lane = firstLane(rest);
    const to = copy.to[lane] ?? 0;
    const from = copy.from[lane] ?? 0;
    const count = copy.sourceBytes[lane] ?? 0;
    if (count === 16 && ((to | from) & 3) === 0) {
      const [a, b] = [to >> 2, from >> 2];
      i32[a] = i32[b] ?? 0;
      i32[a + 1] = i32[b + 1] ?? 0;
      i32[a + 2] = i32[b + 2] ?? 0;
      i32[a + 3] = i32[b + 3] ?? 0;
    } else {
      for (let at = 0; at < count; at++) u8[to + at] = u8[from + at] ?? 0;
      for (let at = count; at < bytes; at++) u8[to + at] = 0;
    }
    targets[lane] = to - copy.window;
  }
  sanitizer?.pending(block, copy.left & lanes, targets, bytes, -1);
  copy.left &= ~lanes;
}

function commit(copies: WarpCopies, lanes: number): void {
  const chosen = copies.open.filter((one) => (one.lanes & lanes) !== 0);
  copies.groups.push({ lanes, copies: chosen.map(({ copy }) => copy) });
  copies.open = copies.open.flatMap(({ lanes: all, copy }) => {
    const others = all & ~lanes;
    return others === 0 ? [] : [{ lanes: others, copy }];
  });
}

/** Lets all but the last `keep` groups of each lane land. */
function wait(machine: Machine, copies: WarpCopies, lanes: number, keep: number): void {
  const { groups } = copies;
  const newer = new Uint8Array(32);
  for (let at = groups.length - 1; at >= 0; at--) {
    const group = groups[at];
    if (group === undefined) continue;
    let ripe = 0;
    for (let rest = group.lanes; rest !== 0; rest &= rest - 1) {
      const lane = firstLane(rest);
      const count = newer[lane] ?? 0;
      if (count >= keep) ripe |= 1 << lane;
      else newer[lane] = count + 1;
    }
    for (const copy of group.copies) land(machine, copy, ripe & lanes);
  }
  copies.groups = groups.filter((group, at) => {
    const isDone = group.copies.every(({ left }) => (left & group.lanes) === 0);
    if (!isDone || at >= groups.length - keep) return true;
    for (const copy of group.copies) if (copy.left === 0 && !copy.shared) free.push(copy);
    return false;
  });
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

/** The copies of a lane that have not landed, for an mbarrier that waits for them. */
export function outstanding(machine: Machine, lane: number): () => void {
  const copies = copiesOf(machine);
  const bit = 1 << lane;
  const mine = [
    ...copies.groups.filter(({ lanes }) => lanes & bit).flatMap((group) => group.copies),
    ...copies.open.filter(({ lanes }) => lanes & bit).map(({ copy }) => copy),
  ].filter(({ left }) => left & bit);
  for (const copy of mine) copy.shared = true;
  return () => {
    for (const copy of mine) land(machine, copy, bit);
  };
}

/** What happens before a load, store or atomic of a kernel under the sanitiser. */
import type { OperationAccess } from "../execute/run-observer.ts";
import { WARP } from "../layout.ts";
import { firstLane } from "../operations/operation.ts";
import { unsupported } from "../ptx/operands.ts";
import { type Instruction, typeBytes } from "../ptx/ptx.ts";
import { spaceOf } from "../translate/addresses.ts";
import type { KernelContext } from "../translate/kernel-context.ts";
import { countBankConflicts, countSectors, maskedBankConflicts } from "./access-patterns.ts";
import type { AccessPlan } from "./access-plan.ts";
import {
  globalTargets,
  locator,
  offsets,
  sharedTarget,
  type Target,
  verb,
} from "./access-targets.ts";
import { isAsyncProxy } from "./proxies.ts";
import { countLanes, quickCheck, quickOperation } from "./quick-check.ts";
import type { Conflict } from "./races.ts";
import type { Sanitizer } from "./sanitizer.ts";

const activeLanes = new Uint8Array(WARP);

export function accessCheck(
  sanitizer: Sanitizer,
  instruction: Instruction,
  context: KernelContext,
): (warp: number, mask: number) => void {
  const plan = planOf(instruction, sanitizer.siteOf(instruction));
  const address = instruction.operands.find((operand) => operand.kind === "address");
  if (address?.kind !== "address") throw unsupported(instruction, "it has no address");
  const space = spaceOf(instruction);
  const guard = guardBits(sanitizer, instruction, context);
  const locate = locator(sanitizer, plan, address, space, context);
  const same = sameValue(sanitizer, instruction, context);
  const slow = (warp: number, lanes: number, counted: boolean): void => {
    locate(warp, lanes, (target, some) => {
      checkLanes(sanitizer, plan, target, some, warp, same, counted);
    });
  };
  const quick = quickCheck(sanitizer, plan, address, space, context);
  return (warp, mask) => {
    const lanes = guard === undefined ? mask : mask & guard(warp);
    if (lanes === 0) return;
    const left = quick?.(warp, lanes);
    if (left !== 0) slow(warp, left ?? lanes, left !== undefined);
  };
}

function planOf(instruction: Instruction, site: number): AccessPlan {
  const { parts, operands } = instruction;
  const family = parts[0] ?? "";
  const element = typeBytes(parts.at(-1) ?? "") ?? 4;
  const value = family === "st" ? operands.at(-1) : operands[0];
  const count = value?.kind === "vector" && family !== "atom" ? value.items.length : 1;
  const kind = family === "st" ? "write" : family === "ld" || family === "ldu" ? "read" : "atomic";
  const ordered = ["volatile", "relaxed", "acquire", "release", "acq_rel", "mmio"];
  const strong = kind === "atomic" || parts.some((part) => ordered.includes(part));
  const writes = kind !== "read";
  const isRelease = parts.includes("release") || parts.includes("acq_rel");
  return {
    instruction,
    kind,
    bytes: element * count,
    grain: Math.min(Math.log2(element), 2),
    strong,
    acquires: strong && (kind === "read" || family === "atom"),
    releases: !strong || !writes ? "never" : isRelease ? "always" : "fenced",
    traced: !parts.includes("nc"),
    align: element * count,
    site,
  };
}

const copied = new Float64Array(WARP);

/** The same for accesses that the host makes on behalf of an instruction. */
export function operationAccess(sanitizer: Sanitizer, access: OperationAccess): void {
  const { lanes } = access;
  if (lanes === 0 || access.bytes === 0) return;
  countBytes(sanitizer, access);
  let plan = operationPlans.get(access);
  if (plan === undefined) {
    plan = operationPlan(sanitizer, access);
    operationPlans.set(access, plan);
  }
  const left = quickOperation(sanitizer, plan, access);
  if (left !== 0) slowOperation(sanitizer, plan, access, left);
  if (plan.kind === "read" && access.space === "shared" && isAsyncProxy(plan.instruction)) {
    sanitizer.proxies.check(access);
  }
}

/** Asynchronous copies are no requests of a warp, but what they move is moved. */
function countBytes(
  sanitizer: Sanitizer,
  { instruction, kind, space, lanes, addresses, bytes }: OperationAccess,
): void {
  if (space === "shared") {
    // When a copy's bytes meet the banks depends on when they arrive; wgmma reads on its own.
    if (instruction.parts[0] !== "cp" && instruction.parts[0] !== "wgmma")
      sanitizer.counters.memory.sharedBankConflicts += maskedBankConflicts(addresses, lanes, bytes);
    return;
  }
  const all = bytes * countLanes(lanes);
  if (kind === "read") sanitizer.counters.memory.globalBytesRead += all;
  if (kind === "write") sanitizer.counters.memory.globalBytesWritten += all;
}

/** By access: operations that happen often pass the same object every time. */
const operationPlans = new WeakMap<OperationAccess, AccessPlan>();

function operationPlan(
  sanitizer: Sanitizer,
  { instruction, kind, bytes, align }: OperationAccess,
): AccessPlan {
  return {
    instruction,
    kind,
    bytes,
    grain: 2,
    strong: kind === "atomic",
    acquires: false,
    releases: "never",
    traced: true,
    align: align ?? bytes,
    site: sanitizer.siteOf(instruction),
  };
}

function slowOperation(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  access: OperationAccess,
  left: number,
): void {
  const check = (target: Target, some: number): void => {
    checkLanes(sanitizer, plan, target, some, 0, undefined, true, copied);
  };
  copied.set(access.addresses);
  if (access.space === "global") {
    globalTargets(sanitizer, plan, left, check, copied);
    return;
  }
  // Lanes may mean blocks of their own of the cluster.
  let rest = left;
  while (rest !== 0) {
    const rank = Math.floor((access.addresses[firstLane(rest)] ?? 0) / 2 ** 24);
    let same = 0;
    for (let left = rest; left !== 0; left &= left - 1) {
      const lane = firstLane(left);
      const address = access.addresses[lane] ?? 0;
      if (Math.floor(address / 2 ** 24) !== rank) continue;
      same |= 1 << lane;
      copied[lane] = address % 2 ** 24;
    }
    sharedTarget(sanitizer, plan, rank, same, check, copied);
    rest &= ~same;
  }
}

function guardBits(
  sanitizer: Sanitizer,
  { guard }: Instruction,
  context: KernelContext,
): ((warp: number) => number) | undefined {
  if (guard === undefined) return undefined;
  const row = context.row(guard.reg) >> 2;
  const { i32 } = sanitizer.machine;
  return (warp) => {
    let bits = 0;
    const at = (warp >> 2) + row;
    for (let lane = 0; lane < WARP; lane++) if (i32[at + lane] !== 0) bits |= 1 << lane;
    return guard.negated ? ~bits : bits;
  };
}

/** Alignment, initialisation, races and counters, for lanes whose `offsets` lie in `target`. */
export function checkLanes(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  target: Target,
  lanes: number,
  warp: number,
  same: ((warp: number, lane: number, address: number) => boolean) | undefined,
  counted: boolean,
  at: Float64Array = offsets,
): void {
  const { machine, races } = sanitizer;
  const { shadow, base, space } = target;
  const { bytes, kind, strong } = plan;
  let count = 0;
  for (let rest = lanes; rest !== 0; rest &= rest - 1) {
    const lane = firstLane(rest);
    activeLanes[count++] = lane;
    const offset = at[lane] ?? 0;
    if ((base + offset) % plan.align !== 0) {
      const message = `${verb(plan)} ${bytes} bytes at offset ${offset} of ${target.name}, which is not a multiple of ${plan.align}`;
      machine.abort("misaligned", message, plan.instruction, lane);
    }
  }
  if (!counted) countAccess(sanitizer, plan, target, count, at);
  const position = machine.position;
  const tags = space === "local" ? undefined : shadow.tags;
  if (tags !== undefined && tags.grain > plan.grain) tags.refine(plan.grain);
  if (kind !== "read") shadow.lastWrite = position.launch.number;
  const allWritten = shadow.written.all;
  for (let index = 0; index < count; index++) {
    const lane = activeLanes[index] ?? 0;
    const offset = at[lane] ?? 0;
    const end = offset + bytes;
    const isPending = shadow.hasPending && checkPending(sanitizer, plan, target, offset, lane);
    if (kind !== "write" && !allWritten && !isPending) {
      const unwritten = shadow.written.firstUnwritten(offset, end);
      if (unwritten !== -1) {
        const message = `${verb(plan)} ${bytes} bytes at offset ${offset} of ${target.name}, which nothing has written`;
        machine.report("uninitialized", message, plan.instruction, lane);
      }
    }
    if (kind !== "read" && !allWritten) shadow.written.mark(offset, end);
    if (tags === undefined) continue;
    if (strong) synchronize(sanitizer, plan, base + offset, space);
    const access = kind === "read" ? "read" : "write";
    if (!plan.traced && tags.writers[offset >> tags.grain] === 0) continue;
    const conflict = races.access(tags, offset, end, access, strong, position, lane, plan.site);
    if (conflict === undefined) continue;
    // Storing what is there already is how flags are commonly set by many.
    if (conflict.otherKind === "write" && same?.(warp, lane, base + offset) === true) continue;
    reportConflict(sanitizer, plan, target, conflict, offset, lane);
  }
}

function checkPending(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  { shadow, name }: Target,
  offset: number,
  lane: number,
): boolean {
  const last = (offset + plan.bytes - 1) >> 2;
  for (let word = offset >> 2; word <= last; word++) {
    if (shadow.pending[word] === 0) continue;
    const message = `${verb(plan)} ${plan.bytes} bytes at offset ${offset} of ${name}, where an asynchronous copy has not been waited for`;
    sanitizer.machine.report("missing-wait", message, plan.instruction, lane);
    return true;
  }
  return false;
}

function synchronize(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  address: number,
  space: Target["space"],
): void {
  if (plan.acquires) sanitizer.acquireThrough(address);
  const { fenced } = sanitizer.machine.position.block;
  const releases =
    plan.releases === "always" || (plan.releases === "fenced" && (fenced || space === "shared"));
  if (releases) sanitizer.releaseThrough(address);
}

function reportConflict(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  target: Target,
  conflict: Conflict,
  offset: number,
  lane: number,
): void {
  const other = conflict.otherKind === "read" ? "read" : "wrote";
  const message = `${verb(plan)} ${plan.bytes} bytes at offset ${offset} of ${target.name}, which ${conflict.other} ${other}${sanitizer.placeOf(conflict.otherSite)} ${conflict.kind === "missing-wait" ? "before this warp's griddepcontrol.wait" : "with nothing to order them"}`;
  sanitizer.machine.report(conflict.kind, message, plan.instruction, lane);
}

function countAccess(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  { space }: Target,
  count: number,
  at: Float64Array,
): void {
  const memory = sanitizer.counters.memory;
  const bytes = plan.bytes * count;
  const { kind } = plan;
  if (kind === "atomic") memory.atomics += count;
  const reads = kind !== "write";
  const writes = kind !== "read";
  if (space === "global") {
    if (reads) memory.globalBytesRead += bytes;
    if (writes) memory.globalBytesWritten += bytes;
    memory.globalRequests++;
    // Allocations begin at multiples of 256, so offsets tell the sectors as addresses would.
    memory.globalSectors += countSectors(at, activeLanes, count, plan.bytes);
  } else if (space === "shared") {
    if (reads) memory.sharedBytesRead += bytes;
    if (writes) memory.sharedBytesWritten += bytes;
    memory.sharedRequests++;
    memory.sharedBankConflicts += countBankConflicts(at, activeLanes, count, plan.bytes);
  } else {
    if (reads) memory.localBytesRead += bytes;
    if (writes) memory.localBytesWritten += bytes;
  }
}

/** For plain stores: does memory hold the value already? */
function sameValue(
  sanitizer: Sanitizer,
  instruction: Instruction,
  context: KernelContext,
): ((warp: number, lane: number, address: number) => boolean) | undefined {
  const { parts, operands } = instruction;
  const source = operands.at(-1);
  if (parts[0] !== "st" || source === undefined) return undefined;
  const bytes = typeBytes(parts.at(-1) ?? "") ?? 4;
  const { u8, u32 } = sanitizer.machine;
  const items = source.kind === "vector" ? source.items : [source];
  const words = items.map((item) => {
    if (item.kind === "reg") {
      const row = context.row(item.reg) >> 2;
      const wide = item.reg.bits === 64;
      return (warp: number, lane: number, word: number): number =>
        u32[(warp >> 2) + row + (wide ? 2 * lane + word : lane)] ?? 0;
    }
    const value = item.kind === "int" ? item.value : item.kind === "float" ? item.bits : 0n;
    return (_warp: number, _lane: number, word: number): number =>
      Number(BigInt.asUintN(32, value >> BigInt(32 * word)));
  });
  return (warp, lane, address) =>
    words.every((read, index) => {
      for (let byte = 0; byte < bytes; byte++) {
        const expected = (read(warp, lane, byte >> 2) >>> (8 * (byte & 3))) & 0xff;
        if (u8[address + index * bytes + byte] !== expected) return false;
      }
      return true;
    });
}

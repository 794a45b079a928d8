/** What happens before a load, store or atomic of a kernel under the sanitiser. */
import { describe } from "../driver/device-memory.ts";
import { firstLane } from "../operations/operation.ts";
import { GLOBAL_TAG, LOCAL_TAG, SHARED_TAG, tagged, WARP } from "../layout.ts";
import type { OperationAccess } from "../execute/run-observer.ts";
import { unsupported } from "../ptx/operands.ts";
import { type Instruction, type Operand, typeBytes } from "../ptx/ptx.ts";
import { type Space, spaceOf } from "../translate/addresses.ts";
import type { KernelContext } from "../translate/kernel-context.ts";
import { countBankConflicts, countSectors } from "./access-patterns.ts";
import type { Conflict } from "./races.ts";
import type { Sanitizer } from "./sanitizer.ts";
import type { AccessPlan } from "./access-plan.ts";
import { quickCheck, quickOperation } from "./quick-check.ts";
import type { Shadow } from "./shadow.ts";

/** Lanes of the access at hand: relative offsets into `shadow`, and addresses for messages. */
export interface Target {
  shadow: Shadow;
  /** Linear address of offset 0. */
  base: number;
  name: string;
  space: "global" | "shared" | "local";
}

const offsets = new Float64Array(WARP);
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
  let plan = operationPlans.get(access);
  if (plan === undefined) {
    plan = operationPlan(sanitizer, access);
    operationPlans.set(access, plan);
  }
  const left = quickOperation(sanitizer, plan, access);
  if (left !== 0) slowOperation(sanitizer, plan, access, left);
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

type Visit = (target: Target, lanes: number) => void;
type Address = Extract<Operand, { kind: "address" }>;

/** Finds the memory an access of the lanes means; calls back once per stretch of memory. */
function locator(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  address: Address,
  space: Space,
  context: KernelContext,
): (warp: number, lanes: number, visit: Visit) => void {
  const { u32 } = sanitizer.machine;
  const { base, offset } = address;
  const constant =
    base !== undefined && "space" in base
      ? context.offsetOf(base, plan.instruction) + offset
      : undefined;
  const row = base !== undefined && "bits" in base ? context.row(base) >> 2 : 0;
  const isWide = base !== undefined && "bits" in base && base.bits === 64;
  const low = (warp: number, lane: number): number => {
    if (constant !== undefined) return constant;
    const word = isWide ? u32[(warp >> 2) + row + 2 * lane] : u32[(warp >> 2) + row + lane];
    return ((word ?? 0) + offset) >>> 0;
  };
  switch (space) {
    case "global":
    case "const":
      return (warp, lanes, visit) => {
        for (let rest = lanes; rest !== 0; rest &= rest - 1) {
          const lane = firstLane(rest);
          if (constant !== undefined) offsets[lane] = constant;
          else {
            const at = (warp >> 2) + row + 2 * lane;
            const full = (u32[at + 1] ?? 0) * 2 ** 32 + (u32[at] ?? 0) + offset;
            offsets[lane] = space === "const" ? full : full - tagged(0);
          }
        }
        globalTargets(sanitizer, plan, lanes, visit);
      };
    case "shared":
      return (warp, lanes, visit) => {
        for (let rest = lanes; rest !== 0; rest &= rest - 1) {
          const lane = firstLane(rest);
          offsets[lane] = low(warp, lane);
        }
        sharedTarget(sanitizer, plan, 0, lanes, visit);
      };
    case "local":
      return (warp, lanes, visit) => {
        for (let rest = lanes; rest !== 0; rest &= rest - 1) {
          const lane = firstLane(rest);
          offsets[lane] = low(warp, lane);
        }
        localTarget(sanitizer, plan, context.localBytes, lanes, visit);
      };
    case "cluster":
    case "generic":
      return (warp, lanes, visit) => {
        // Rare: lanes are looked at one by one.
        for (let rest = lanes; rest !== 0; rest &= rest - 1) {
          const lane = firstLane(rest);
          const bit = 1 << lane;
          const word = low(warp, lane);
          const high = isWide ? (u32[(warp >> 2) + row + 2 * lane + 1] ?? 0) : 0;
          const carried = isWide
            ? high + Math.floor(((u32[(warp >> 2) + row + 2 * lane] ?? 0) + offset) / 2 ** 32)
            : SHARED_TAG;
          const tag = space === "cluster" ? SHARED_TAG : carried;
          if (tag === SHARED_TAG) {
            offsets[lane] = word & 0xffffff;
            sharedTarget(sanitizer, plan, word >>> 24, bit, visit);
          } else if (tag === LOCAL_TAG) {
            offsets[lane] = word;
            localTarget(sanitizer, plan, context.localBytes, bit, visit);
          } else {
            offsets[lane] = (tag - GLOBAL_TAG) * 2 ** 32 + word;
            globalTargets(sanitizer, plan, bit, visit);
          }
        }
      };
    case "param":
      return () => {};
    default:
      return space satisfies never;
  }
}

/** `offsets` hold linear addresses; they become relative to the allocation. */
export function globalTargets(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  lanes: number,
  visit: Visit,
  into: Float64Array = offsets,
): void {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (let rest = lanes; rest !== 0; rest &= rest - 1) {
    const at = into[firstLane(rest)] ?? 0;
    if (at < lowest) lowest = at;
    if (at > highest) highest = at;
  }
  const allocation = sanitizer.memory.before(lowest);
  const isInside =
    allocation !== undefined &&
    !allocation.freed &&
    lowest >= allocation.base &&
    highest + plan.bytes <= allocation.base + allocation.bytes;
  if (isInside) {
    for (let rest = lanes; rest !== 0; rest &= rest - 1) {
      const lane = firstLane(rest);
      into[lane] = (into[lane] ?? 0) - allocation.base;
    }
    const shadow = sanitizer.shadowOf(allocation);
    visit({ shadow, base: allocation.base, name: describe(allocation), space: "global" }, lanes);
    return;
  }
  if ((lanes & (lanes - 1)) !== 0) {
    for (let rest = lanes; rest !== 0; rest &= rest - 1) {
      globalTargets(sanitizer, plan, 1 << firstLane(rest), visit, into);
    }
    return;
  }
  badGlobal(sanitizer, plan, firstLane(lanes), lowest);
}

function badGlobal(sanitizer: Sanitizer, plan: AccessPlan, lane: number, address: number): never {
  const what = `${verb(plan)} ${plan.bytes} bytes at 0x${tagged(address).toString(16)}`;
  const allocation = sanitizer.memory.before(address);
  if (allocation === undefined || address >= 2 ** 32 || address < 0) {
    const why = "which is no device memory";
    return sanitizer.machine.abort("out-of-bounds", `${what}, ${why}`, plan.instruction, lane);
  }
  const end = allocation.base + allocation.bytes;
  if (allocation.freed && address < end) {
    const message = `${what}, in ${describe(allocation)}, which was freed`;
    return sanitizer.machine.abort("use-after-free", message, plan.instruction, lane);
  }
  const past = address + plan.bytes - end;
  const message = `${what}, ${past} bytes past the end of ${describe(allocation)}`;
  return sanitizer.machine.abort("out-of-bounds", message, plan.instruction, lane);
}

function verb(plan: AccessPlan): string {
  return plan.kind === "read" ? "reads" : plan.kind === "write" ? "writes" : "updates";
}

/** `rank` is that of the cluster's block plus one, or 0 for the own block. */
export function sharedTarget(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  rank: number,
  lanes: number,
  visit: Visit,
  into: Float64Array = offsets,
): void {
  const own = sanitizer.machine.position.block;
  const block = rank === 0 ? own : own.cluster.blocks[rank - 1];
  for (let rest = lanes; rest !== 0; rest &= rest - 1) {
    const lane = firstLane(rest);
    const at = into[lane] ?? 0;
    if (block !== undefined && at >= 0 && at + plan.bytes <= block.sharedBytes) continue;
    const size =
      block === undefined ? `block ${rank - 1} of the cluster` : `${block.sharedBytes} bytes`;
    const message = `${verb(plan)} ${plan.bytes} bytes at offset ${at} of shared memory, which has ${size}`;
    sanitizer.machine.abort("out-of-bounds", message, plan.instruction, lane);
  }
  if (block === undefined) return;
  const shadow = sanitizer.sharedShadow(block);
  visit({ shadow, base: block.sharedBase, name: "shared memory", space: "shared" }, lanes);
}

function localTarget(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  bytes: number,
  lanes: number,
  visit: Visit,
): void {
  const { block, warp } = sanitizer.machine.position;
  for (let rest = lanes; rest !== 0; rest &= rest - 1) {
    const lane = firstLane(rest);
    const at = offsets[lane] ?? 0;
    if (at + plan.bytes > bytes) {
      const message = `${verb(plan)} ${plan.bytes} bytes at offset ${at} of local memory, which has ${bytes}`;
      sanitizer.machine.abort("out-of-bounds", message, plan.instruction, lane);
    }
    offsets[lane] = at + (warp.index * WARP + lane) * bytes;
  }
  const shadow = sanitizer.localShadow(block, bytes);
  visit({ shadow, base: block.localBase, name: "local memory", space: "local" }, lanes);
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
  const message = `${verb(plan)} ${plan.bytes} bytes at offset ${offset} of ${target.name}, which ${conflict.other} ${other}${sanitizer.placeOf(conflict.otherSite)} with nothing to order them`;
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

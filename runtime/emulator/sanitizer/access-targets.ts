/** Which memory the lanes of an access mean: allocations, shared windows, local windows. */
import { describe } from "../driver/device-memory.ts";
import { GLOBAL_TAG, LOCAL_TAG, SHARED_TAG, tagged, WARP } from "../layout.ts";
import { firstLane } from "../operations/operation.ts";
import type { Operand } from "../ptx/ptx.ts";
import type { Space } from "../translate/addresses.ts";
import type { KernelContext } from "../translate/kernel-context.ts";
import type { AccessPlan } from "./access-plan.ts";
import type { Sanitizer } from "./sanitizer.ts";
import type { Shadow } from "./shadow.ts";

/** Lanes of the access at hand: relative offsets into `shadow`, and addresses for messages. */
export interface Target {
  shadow: Shadow;
  /** Linear address of offset 0. */
  base: number;
  name: string;
  space: "global" | "shared" | "local";
}

/** By lane: where the access at hand goes; see `locator`. */
export const offsets = new Float64Array(WARP);

export type Visit = (target: Target, lanes: number) => void;
type Address = Extract<Operand, { kind: "address" }>;

/** Finds the memory an access of the lanes means; calls back once per stretch of memory. */
export function locator(
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

export function verb(plan: AccessPlan): string {
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

/** The way to the access checks in WebAssembly, which settle nearly all accesses. */
import { ACCESS } from "../core/access.ts";
import type { OperationAccess } from "../execute/run-observer.ts";
import { firstLane } from "../operations/operation.ts";
import { ADDRESS_ROW, tagged } from "../layout.ts";
import type { Operand } from "../ptx/ptx.ts";
import type { Space } from "../translate/addresses.ts";
import type { KernelContext } from "../translate/kernel-context.ts";
import type { AccessPlan } from "./access-plan.ts";
import type { Sanitizer } from "./sanitizer.ts";
import type { Shadow } from "./shadow.ts";

/** What the addresses of an access mean. */
interface Row {
  readonly wide: 0 | 1;
  /** Added to every address. */
  readonly offset: number;
  /** Addresses carry the tag of global memory in their high words. */
  readonly tagged: boolean;
}

type Check = (...args: number[]) => number;

interface Checks {
  readonly access1: Check;
  readonly access2: Check;
  readonly access4: Check;
  readonly sectors: Check;
  readonly banks: Check;
}

const known = new WeakMap<Sanitizer, Checks>();

function checksOf(sanitizer: Sanitizer): Checks {
  let checks = known.get(sanitizer);
  if (checks === undefined) {
    const find = (name: string): Check => {
      const found = sanitizer.machine.core[name];
      if (typeof found !== "function") throw new Error(`the core has no ${name}`);
      return found as Check;
    };
    checks = {
      access1: find("access1"),
      access2: find("access2"),
      access4: find("access4"),
      sectors: find("sectors"),
      banks: find("banks"),
    };
    known.set(sanitizer, checks);
  }
  return checks;
}

/**
 * Lanes of an access that are not plainly right, or undefined if it has to be looked at anyway.
 * The addresses are in the row `at`.
 */
function settle(
  sanitizer: Sanitizer,
  checks: Checks,
  plan: AccessPlan,
  shadow: Shadow,
  row: Row,
  at: number,
  lanes: number,
  base: number,
  size: number,
): number | undefined {
  const { machine, races } = sanitizer;
  const { bytes, kind } = plan;
  if (bytes > 16 || size < bytes) return undefined;
  const { tags, written } = shadow;
  if (tags.grain > plan.grain) tags.refine(plan.grain);
  if (tags.address === 0) return undefined;
  const { number } = machine.position.launch;
  if (kind === "write") shadow.lastWrite = number;
  const untagged =
    !plan.traced && shadow.lastWrite !== number && races.isAlone(machine.position.warp);
  const bits = written.all ? 0 : written.address;
  if (!written.all && bits === 0) return undefined;
  const count = bytes >> tags.grain;
  const access = count >= 4 ? checks.access4 : count === 2 ? checks.access2 : checks.access1;
  const flags =
    (kind === "write" ? ACCESS.writes : 0) |
    (untagged ? ACCESS.untagged : 0) |
    (row.tagged ? ACCESS.global : 0) |
    (row.wide ? ACCESS.wide : 0) |
    (tags.grain << ACCESS.grainShift);
  return access(
    at,
    row.offset,
    lanes,
    base,
    size - bytes,
    bytes,
    flags,
    tags.address,
    tags.stride,
    bits,
    plan.site,
  );
}

/** A check for plain loads and stores through registers; undefined where there is none. */
export function quickCheck(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  { base, offset }: Extract<Operand, { kind: "address" }>,
  space: Space,
  context: KernelContext,
): ((warp: number, lanes: number) => number | undefined) | undefined {
  if (plan.strong || plan.kind === "atomic" || base === undefined || !("bits" in base)) {
    return undefined;
  }
  const at = context.row(base);
  const wide = base.bits === 64 ? 1 : 0;
  const { machine, memory, counters } = sanitizer;
  const { bytes, kind } = plan;
  const counts = counters.memory;
  const checks = checksOf(sanitizer);
  const row = { wide, offset, tagged: space === "global" } as const;
  if (space === "global" && wide === 1) {
    return (warp, lanes) => {
      const word = ((warp + at) >> 2) + 2 * firstLane(lanes);
      const first = (machine.u32[word + 1] ?? 0) * 2 ** 32 + (machine.u32[word] ?? 0) + offset;
      const allocation = memory.before(first - tagged(0));
      if (allocation === undefined || allocation.freed) return undefined;
      const shadow = sanitizer.shadowOf(allocation);
      const { base: begin, bytes: size } = allocation;
      const left = settle(sanitizer, checks, plan, shadow, row, warp + at, lanes, begin, size);
      // The counters want the access as a whole, so all lanes get a look if one needs it.
      if (left !== 0) return undefined;
      counts.globalRequests++;
      counts.globalSectors += checks.sectors(warp + at, wide, offset, lanes, bytes);
      const all = bytes * countLanes(lanes);
      if (kind === "read") counts.globalBytesRead += all;
      else counts.globalBytesWritten += all;
      return 0;
    };
  }
  if (space === "shared") {
    return (warp, lanes) => {
      const { block } = machine.position;
      const shadow = sanitizer.sharedShadow(block);
      const size = block.sharedBytes;
      const left = settle(sanitizer, checks, plan, shadow, row, warp + at, lanes, 0, size);
      // The counters want the access as a whole, so all lanes get a look if one needs it.
      if (left !== 0) return undefined;
      counts.sharedBankConflicts += checks.banks(warp + at, wide, offset, lanes, bytes);
      counts.sharedRequests++;
      const all = bytes * countLanes(lanes);
      if (kind === "read") counts.sharedBytesRead += all;
      else counts.sharedBytesWritten += all;
      return 0;
    };
  }
  return undefined;
}

export function countLanes(lanes: number): number {
  let x = lanes - ((lanes >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The same for accesses the host makes; their addresses are put where WebAssembly finds them. */
export function quickOperation(
  sanitizer: Sanitizer,
  plan: AccessPlan,
  { addresses, lanes, space, align, bytes }: OperationAccess,
): number {
  if (plan.kind === "atomic" || (align !== undefined && align !== bytes)) return lanes;
  const { machine, memory } = sanitizer;
  let highest = 0;
  for (let rest = lanes; rest !== 0; rest &= rest - 1) {
    const lane = firstLane(rest);
    const address = addresses[lane] ?? 0;
    if (address > highest) highest = address;
    machine.u32[(ADDRESS_ROW >> 2) + lane] = address;
    if (address < 0) return lanes;
  }
  const checks = checksOf(sanitizer);
  const { block } = machine.position;
  if (space === "shared") {
    if (highest >= 2 ** 24) return lanes;
    const [shadow, size] = [sanitizer.sharedShadow(block), block.sharedBytes];
    return settle(sanitizer, checks, plan, shadow, PLAIN, ADDRESS_ROW, lanes, 0, size) ?? lanes;
  }
  if (highest >= 2 ** 32) return lanes;
  const allocation = memory.before(addresses[firstLane(lanes)] ?? 0);
  if (allocation === undefined || allocation.freed) return lanes;
  const shadow = sanitizer.shadowOf(allocation);
  const { base, bytes: size } = allocation;
  return settle(sanitizer, checks, plan, shadow, PLAIN, ADDRESS_ROW, lanes, base, size) ?? lanes;
}

/** Addresses that the host has put down. */
const PLAIN: Row = { wide: 0, offset: 0, tagged: false };

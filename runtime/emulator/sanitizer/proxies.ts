/**
 * Bulk copies and wgmma reach shared memory through the async proxy: what a thread wrote there as
 * usual, with a store or a cp.async that it has waited for, they see only if that thread executed
 * `fence.proxy.async` afterwards, and before whatever orders its writes before the read. What bulk
 * copies wrote needs no fence.
 */
import type { OperationAccess } from "../execute/run-observer.ts";
import type { LaunchState } from "../execute/state.ts";
import { WARP } from "../layout.ts";
import { firstLane } from "../operations/operation.ts";
import type { Instruction, PtxFunction } from "../ptx/ptx.ts";
import type { Sanitizer } from "./sanitizer.ts";
import type { Shadow } from "./shadow.ts";

/** Instructions whose reads and writes go through the async proxy. */
export function isAsyncProxy({ parts }: Instruction): boolean {
  return parts[0] === "wgmma" || (parts[0] === "cp" && parts[2] === "bulk");
}

/** What is remembered of a shared window of a kernel that reads it through the async proxy. */
interface WindowRecord {
  /** By 4-byte word: when a cp.async landed there. */
  readonly landings: Uint32Array;
  /** By tag: the stamp of the write that was last looked at. */
  readonly seen: Uint32Array;
}

export class Proxies {
  readonly #sanitizer: Sanitizer;
  /** By warp of the launch and lane: when it last executed a proxy fence. */
  readonly #fences = new Map<number, Uint32Array>();
  #records = new WeakMap<Shadow, WindowRecord>();
  #areLandingsKept = false;
  #time = 0;

  constructor(sanitizer: Sanitizer) {
    this.#sanitizer = sanitizer;
  }

  launchBegins({ kernel }: LaunchState): void {
    this.#fences.clear();
    this.#areLandingsKept = readsShared(kernel.context.fn);
    const { time } = this.#sanitizer.races;
    // When the time begins anew, what was seen at an old time says nothing.
    if (time < this.#time) this.#records = new WeakMap();
    this.#time = time;
  }

  /** Lanes of the running warp execute a proxy fence. */
  fenced(lanes: number): void {
    const { races, machine } = this.#sanitizer;
    const { block, warp } = machine.position;
    // Later writes must not look as if they came before it.
    const now = ++races.time;
    this.#sanitizer.warpRuns();
    const number = races.identity(block, warp, 0) / 64;
    let times = this.#fences.get(number);
    if (times === undefined) {
      times = new Uint32Array(WARP);
      this.#fences.set(number, times);
    }
    for (let rest = lanes; rest !== 0; rest &= rest - 1) times[firstLane(rest)] = now;
  }

  landed(shadow: Shadow, lanes: number, offsets: Float64Array, bytes: number): void {
    if (!this.#areLandingsKept) return;
    const { landings } = this.#recordOf(shadow);
    const { time } = this.#sanitizer.races;
    for (let rest = lanes; rest !== 0; rest &= rest - 1) {
      const offset = offsets[firstLane(rest)] ?? 0;
      landings.fill(time, offset >> 2, (offset + bytes + 3) >> 2);
    }
  }

  /** Reports what an asynchronous read of shared memory may not see. */
  check(access: OperationAccess): void {
    for (let rest = access.lanes; rest !== 0; ) {
      const { shadow, lanes, base } = this.#window(access, rest);
      rest &= ~lanes;
      const { writers, writeTimes, writeSites, grain } = shadow.tags;
      const { landings, seen } = this.#recordOf(shadow);
      for (let left = lanes; left !== 0; left &= left - 1) {
        const lane = firstLane(left);
        const from = (access.addresses[lane] ?? 0) - base;
        const last = (from + access.bytes - 1) >> grain;
        for (let at = from >> grain; at <= last; at++) {
          const stamp = writeTimes[at] ?? 0;
          // What has been looked at since it was written needs no second look.
          if (seen[at] === stamp) continue;
          seen[at] = stamp;
          const [writer, site] = [writers[at] ?? 0, writeSites[at] ?? 0];
          const landing = landings[(at << grain) >> 2] ?? 0;
          if (writer === 0 || this.#isFenced(writer, stamp >>> 1, site, landing, lane)) continue;
          const why = `which ${this.#writer(writer, site)} without a fence.proxy.async after it`;
          this.#report("missing-fence", access, at << grain, why, lane);
          return;
        }
      }
    }
  }

  /** Reports bytes of an asynchronous read that were written after it had begun. */
  checkUnchanged(access: OperationAccess, since: number): void {
    const { time } = this.#sanitizer.races;
    for (let rest = access.lanes; rest !== 0; ) {
      const { shadow, lanes, base } = this.#window(access, rest);
      rest &= ~lanes;
      const { writers, writeTimes, readTimes, writeSites, grain } = shadow.tags;
      for (let left = lanes; left !== 0; left &= left - 1) {
        const lane = firstLane(left);
        const from = (access.addresses[lane] ?? 0) - base;
        const last = (from + access.bytes - 1) >> grain;
        for (let at = from >> grain; at <= last; at++) {
          // The read lasts until now, for whoever writes next.
          readTimes[at] = 2 * time;
          if ((writeTimes[at] ?? 0) < 2 * since || writers[at] === 0) continue;
          const who = this.#writer(writers[at] ?? 0, writeSites[at] ?? 0);
          this.#report(
            "missing-wait",
            access,
            at << grain,
            `which ${who} before the wait for it`,
            lane,
          );
          return;
        }
      }
    }
  }

  /** The shared window that the first of the lanes means, with its like. */
  #window(
    { addresses }: OperationAccess,
    lanes: number,
  ): { readonly shadow: Shadow; readonly lanes: number; readonly base: number } {
    const own = this.#sanitizer.machine.position.block;
    const rank = Math.floor((addresses[firstLane(lanes)] ?? 0) / 2 ** 24);
    let same = 0;
    for (let rest = lanes; rest !== 0; rest &= rest - 1) {
      const lane = firstLane(rest);
      if (Math.floor((addresses[lane] ?? 0) / 2 ** 24) === rank) same |= 1 << lane;
    }
    const block = rank === 0 ? own : (own.cluster.blocks[rank - 1] ?? own);
    return { shadow: this.#sanitizer.sharedShadow(block), lanes: same, base: rank * 2 ** 24 };
  }

  #recordOf(shadow: Shadow): WindowRecord {
    const { writers } = shadow.tags;
    let record = this.#records.get(shadow);
    if (record === undefined || record.seen.length !== writers.length) {
      const landings = record?.landings ?? new Uint32Array((shadow.bytes + 3) >> 2);
      record = { landings, seen: new Uint32Array(writers.length) };
      this.#records.set(shadow, record);
    }
    return record;
  }

  #isFenced(writer: number, time: number, site: number, landing: number, lane: number): boolean {
    const { races, machine } = this.#sanitizer;
    const instruction = this.#sanitizer.instructionOf(site);
    if (instruction === undefined || isAsyncProxy(instruction)) return true;
    const written = instruction.parts[0] === "cp" ? Math.max(time, landing) : time;
    const fence = this.#fences.get(Math.floor(writer / 64))?.[writer & 63] ?? 0;
    return fence > written && races.isOrdered(writer, 2 * fence, machine.position, lane);
  }

  #writer(identity: number, site: number): string {
    return `${this.#sanitizer.races.nameOf(identity)} wrote${this.#sanitizer.placeOf(site)}`;
  }

  #report(
    kind: "missing-fence" | "missing-wait",
    { instruction, bytes }: OperationAccess,
    offset: number,
    why: string,
    lane: number,
  ): void {
    const message = `${instruction.opcode} reads ${bytes} bytes at offset ${offset} of shared memory, ${why}`;
    this.#sanitizer.machine.report(kind, message, instruction, lane);
  }
}

const readers = new WeakMap<PtxFunction, boolean>();

/** Does the kernel read shared memory through the async proxy anywhere? */
function readsShared(fn: PtxFunction): boolean {
  let reads = readers.get(fn);
  if (reads === undefined) {
    reads = fn.instructions.some(
      (one) => isAsyncProxy(one) && (one.parts[0] === "wgmma" || one.parts.includes("shared::cta")),
    );
    readers.set(fn, reads);
  }
  return reads;
}

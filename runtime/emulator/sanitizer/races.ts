/**
 * Are two accesses ordered? Every access is tagged with who made it and when; every thread knows
 * when it last synchronised with its warp, its block and its grid. An access is ordered before
 * another one if the latter's thread synchronised, at the right level, after it. That takes
 * every synchronisation to be with everybody, so races may go unseen where unrelated barriers
 * hide them, but what is ordered is never called a race.
 */
import { threadOf } from "../execute/machine.ts";
import type { BlockState, LaunchState, WarpState } from "../execute/state.ts";
import type { Work } from "../driver/work-queue.ts";
import { CHECK, WARP } from "../layout.ts";
import { type AccessTags, SEVERAL_BLOCKS, SEVERAL_LANES, SEVERAL_WARPS, STRONG } from "./shadow.ts";

export type AccessKind = "read" | "write";

/** What an access met that it should not have. */
export interface Conflict {
  readonly kind: "race" | "stream-race" | "missing-wait";
  readonly other: string;
  readonly otherKind: AccessKind;
  /** Number of the other instruction; 0 for copies. */
  readonly otherSite: number;
}

/** Work beside a launch. */
export interface OtherWork {
  /** Finished, with nothing to order it before the launch. */
  readonly unordered: readonly Work[];
  /** Ordered only for warps that have executed griddepcontrol.wait. */
  readonly overlapped: readonly Work[];
}

/** The accessing thread and what it has synchronised with. */
export interface Accessor {
  readonly launch: LaunchState;
  readonly block: BlockState;
  readonly warp: WarpState;
}

export class RaceDetector {
  /** First warp number of the running launch. */
  #first = 1;
  #next = 1;
  #warpsPerBlock = 1;
  #start = 1;
  #launch: LaunchState | undefined;
  #unordered: readonly Work[] = [];
  #overlapped: readonly Work[] = [];
  #hasWaited = false;
  readonly #u32: Uint32Array;

  /** @param u32 the machine's memory, in which kernels let the time go on. */
  constructor(u32: Uint32Array) {
    this.#u32 = u32;
    this.time = 1;
  }

  /** Time now: counts releases. */
  get time(): number {
    return this.#u32[CHECK.clock >> 2] ?? 0;
  }

  set time(now: number) {
    this.#u32[CHECK.clock >> 2] = now;
  }

  /** Numbers the warps of a launch (or one for a copy); `unordered` is finished work beside it. */
  begin(work: Work, warps: number, others: OtherWork, launch?: LaunchState): void {
    this.#first = this.#next;
    this.#next += warps;
    work.actors = [this.#first, this.#next];
    const active = (all: readonly Work[]) => all.filter(({ actors }) => actors[1] > actors[0]);
    this.#unordered = active(others.unordered);
    this.#overlapped = active(others.overlapped);
    this.#hasWaited = false;
    this.#launch = launch;
    this.#warpsPerBlock = launch?.warpsPerBlock ?? 1;
    this.#start = ++this.time;
  }

  /** True when the numbers are used up and all tags must be forgotten. */
  get exhausted(): boolean {
    return this.#next > 2 ** 25 || this.time > 2 ** 29;
  }

  restart(): void {
    this.#next = 1;
    this.time = 1;
  }

  identity(block: BlockState, warp: WarpState, lane: number): number {
    return (this.#first + block.linear * this.#warpsPerBlock + warp.index) * 64 + lane;
  }

  /** Whatever was accessed before this time, by whomever, is ordered before what the block does. */
  foreignLimit(block: BlockState, warp: WarpState): number {
    return this.isAlone(warp) ? Math.max(this.#start, block.gridSync) : 0;
  }

  /** True when all earlier work is ordered before what the warp does. */
  isAlone({ dependencyWaited }: WarpState): boolean {
    return this.#unordered.length === 0 && (dependencyWaited || this.#overlapped.length === 0);
  }

  /** The warp has executed griddepcontrol.wait. */
  waited(warp: WarpState): void {
    warp.dependencyWaited = true;
    this.#hasWaited = true;
  }

  /** True when the running launch overlaps others and none of its warps has waited for them. */
  get neverWaited(): boolean {
    return this.#overlapped.length > 0 && !this.#hasWaited;
  }

  /** The one identity of a copy. */
  get copyIdentity(): number {
    return this.#first * 64;
  }

  /** Checks and tags [from, to) for one thread. Gives the first conflict. */
  access(
    tags: AccessTags,
    from: number,
    to: number,
    kind: AccessKind,
    strong: boolean,
    who: Accessor,
    lane: number,
    site: number,
  ): Conflict | undefined {
    const { block, warp } = who;
    const me = this.identity(block, warp, lane);
    const { writers, writeTimes, readers, readTimes, writeSites, readSites } = tags;
    const stamp = 2 * this.time + (strong ? STRONG : 0);
    let conflict: Conflict | undefined;
    // Words that lie together were mostly accessed together: what was found of one holds for the next.
    let knownWriter = 0;
    let knownWriteTime = 0;
    let knownReader = 0;
    let knownReadTime = 0;
    let readIsOrdered = false;
    let merged = 0;
    const last = (to - 1) >> tags.grain;
    for (let at = from >> tags.grain; at <= last; at++) {
      const writer = writers[at] ?? 0;
      if (writer !== 0 && writer !== me) {
        const time = writeTimes[at] ?? 0;
        if (writer !== knownWriter || time !== knownWriteTime) {
          if (!(strong && (time & STRONG) !== 0) && !this.isOrdered(writer, time, who, lane)) {
            conflict ??= this.#conflict(writer, "write", writeSites[at] ?? 0);
          }
          knownWriter = writer;
          knownWriteTime = time;
        }
      }
      const reader = readers[at] ?? 0;
      const time = readTimes[at] ?? 0;
      if (reader !== 0 && reader !== me && (reader !== knownReader || time !== knownReadTime)) {
        readIsOrdered = this.isOrdered(reader, time, who, lane);
        if (kind === "write" && !(strong && (time & STRONG) !== 0) && !readIsOrdered)
          conflict ??= this.#conflict(reader, "read", readSites[at] ?? 0);
        merged = readIsOrdered ? me : this.#merged(reader, me);
        knownReader = reader;
        knownReadTime = time;
      }
      if (kind === "write") {
        writers[at] = me;
        writeTimes[at] = stamp;
        writeSites[at] = site;
        if (reader !== 0) readers[at] = 0;
      } else if (reader === me || reader === 0 || readIsOrdered) {
        readers[at] = me;
        readTimes[at] = stamp;
        readSites[at] = site;
      } else {
        readers[at] = merged;
        // Plain beats strong: the word has been read in a way that can race.
        readTimes[at] = (time & STRONG) !== 0 ? stamp : 2 * this.time;
      }
    }
    return conflict;
  }

  /** Is an access with this identity and doubled time ordered before what `who` does now? */
  isOrdered(other: number, stamp: number, { block, warp }: Accessor, lane: number): boolean {
    const time = stamp >>> 1;
    const number = Math.floor(other / 64);
    const otherLane = other & 63;
    if (number < this.#first) {
      return this.isAlone(warp) || this.#otherWork(number, warp) === undefined;
    }
    if (otherLane === SEVERAL_BLOCKS) return time < block.gridSync;
    const index = number - this.#first;
    if (Math.floor(index / this.#warpsPerBlock) !== block.linear) return time < block.gridSync;
    if (otherLane === SEVERAL_WARPS) return time < warp.blockSync;
    if (index % this.#warpsPerBlock !== warp.index) return time < warp.blockSync;
    return otherLane === lane || time < warp.warpSync;
  }

  #unorderedWork(number: number): Work | undefined {
    return this.#find(this.#unordered, number);
  }

  #otherWork(number: number, { dependencyWaited }: WarpState): Work | undefined {
    const unordered = this.#unorderedWork(number);
    return dependencyWaited ? unordered : (unordered ?? this.#find(this.#overlapped, number));
  }

  #find(works: readonly Work[], number: number): Work | undefined {
    return works.find(({ actors }) => number >= actors[0] && number < actors[1]);
  }

  /** An identity that stands for two readers. */
  #merged(a: number, b: number): number {
    const first = Math.floor(a / 64);
    const second = Math.floor(b / 64);
    if (first === second) {
      const level = Math.max(a & 63, SEVERAL_LANES);
      return first * 64 + level;
    }
    const sameBlock = this.#blockOf(first) === this.#blockOf(second) && (a & 63) !== SEVERAL_BLOCKS;
    return second * 64 + (sameBlock ? SEVERAL_WARPS : SEVERAL_BLOCKS);
  }

  /** Block of a warp of the running launch; -1 of earlier work. */
  #blockOf(number: number): number {
    return number < this.#first ? -1 : Math.floor((number - this.#first) / this.#warpsPerBlock);
  }

  /** Who an identity of the running launch is. */
  nameOf(identity: number): string {
    return this.#conflict(identity, "write", 0).other;
  }

  #conflict(other: number, otherKind: AccessKind, otherSite: number): Conflict {
    const number = Math.floor(other / 64);
    const lane = other & 63;
    if (number < this.#first) {
      const work = this.#unorderedWork(number);
      const other = (work ?? this.#find(this.#overlapped, number))?.label ?? "other work";
      return {
        kind: work === undefined ? "missing-wait" : "stream-race",
        other,
        otherKind,
        otherSite,
      };
    }
    const launch = this.#launch;
    if (launch === undefined) return { kind: "race", other: "another copy", otherKind, otherSite };
    if (lane === SEVERAL_BLOCKS)
      return { kind: "race", other: "several blocks", otherKind, otherSite };
    const index = number - this.#first;
    const linear = Math.floor(index / this.#warpsPerBlock);
    const warp = index % this.#warpsPerBlock;
    const { x, y } = launch.config.grid;
    const block = `block (${linear % x}, ${Math.floor(linear / x) % y}, ${Math.floor(linear / (x * y))})`;
    if (lane === SEVERAL_WARPS)
      return { kind: "race", other: `several warps of ${block}`, otherKind, otherSite };
    if (lane === SEVERAL_LANES) {
      return {
        kind: "race",
        other: `several lanes of warp ${warp} of ${block}`,
        otherKind,
        otherSite,
      };
    }
    const thread = threadOf(launch, { index: warp } as WarpState, lane % WARP);
    return {
      kind: "race",
      other: `thread (${thread.join(", ")}) of ${block}`,
      otherKind,
      otherSite,
    };
  }

  /** Tags a range for a copy, and tells of kernels or copies beside it that touch the same bytes. */
  copyAccess(tags: AccessTags, from: number, to: number, kind: AccessKind): Conflict | undefined {
    let conflict: Conflict | undefined;
    const { writers, writeTimes, readers, readTimes } = tags;
    const last = (to - 1) >> tags.grain;
    const first = from >> tags.grain;
    if (this.#unordered.length > 0) {
      for (let at = first; at <= last && conflict === undefined; at++) {
        const writer = writers[at] ?? 0;
        const reader = kind === "write" ? (readers[at] ?? 0) : 0;
        for (const [other, otherKind] of [
          [writer, "write"],
          [reader, "read"],
        ] as const) {
          const work = other === 0 ? undefined : this.#unorderedWork(Math.floor(other / 64));
          if (work !== undefined)
            conflict ??= { kind: "stream-race", other: work.label, otherKind, otherSite: 0 };
        }
      }
    }
    if (kind === "write") {
      writers.fill(this.copyIdentity, first, last + 1);
      writeTimes.fill(2 * this.time, first, last + 1);
      readers.fill(0, first, last + 1);
    } else {
      readers.fill(this.copyIdentity, first, last + 1);
      readTimes.fill(2 * this.time, first, last + 1);
    }
    return conflict;
  }
}

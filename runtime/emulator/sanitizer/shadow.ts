/** What is known of every byte of a stretch of memory: written ever, and last touched by whom. */

/** Lanes above 31 of an identity: readers too many to name. */
export const SEVERAL_LANES = 32;
export const SEVERAL_WARPS = 33;
export const SEVERAL_BLOCKS = 34;
/**
 * Times are stored doubled, so that they compare as signed integers; the lowest bit says that the
 * access was atomic, volatile or ordered, so that it races with no other such.
 */
export const STRONG = 1;

type Lists = [Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array];

/**
 * Hands out linear memory for shadows, where WebAssembly can look at them. When it is used up, or
 * there never was any, lists lie in JavaScript's memory and only JavaScript looks.
 */
export class ShadowArena {
  readonly #buffer: ArrayBuffer;
  readonly #end: number;
  #next: number;

  constructor(buffer: ArrayBuffer, begin: number, end: number) {
    this.#buffer = buffer;
    this.#next = begin;
    this.#end = end;
  }

  /** `count` zeroed lists of `words` words; address 0 when they are not in linear memory. */
  take(words: number, count: number): { readonly address: number; readonly lists: Uint32Array[] } {
    const bytes = 4 * words;
    if (this.#next + count * bytes > this.#end) {
      return { address: 0, lists: Array.from({ length: count }, () => new Uint32Array(words)) };
    }
    const address = this.#next;
    this.#next += Math.ceil((count * bytes) / 16) * 16;
    const lists = Array.from(
      { length: count },
      (_, at) => new Uint32Array(this.#buffer, address + at * bytes, words),
    );
    return { address, lists };
  }
}

/**
 * Identities are warp · 64 + lane, where warps are numbered over all launches from 1; 0 is nobody.
 * Times count the moments at which one thread's memory became visible to another.
 */
export class AccessTags {
  /** log2 of the bytes one tag stands for; starts at 4 bytes and shrinks on the first finer access. */
  grain: number;
  writers: Uint32Array;
  writeTimes: Uint32Array;
  readers: Uint32Array;
  readTimes: Uint32Array;
  /** Numbers of the instructions that wrote and read last. */
  writeSites: Uint32Array;
  readSites: Uint32Array;

  /** Linear address of the lists, one `stride` after the other; 0 when they lie elsewhere. */
  address = 0;
  stride = 0;
  readonly #arena: ShadowArena;

  constructor(bytes: number, arena: ShadowArena, grain = 2) {
    this.grain = grain;
    this.#arena = arena;
    const count = (bytes + (1 << grain) - 1) >> grain;
    [this.writers, this.writeTimes, this.readers, this.readTimes, this.writeSites, this.readSites] =
      this.#lists(count);
  }

  #lists(count: number): Lists {
    const words = (count + 7) & ~3;
    const { address, lists } = this.#arena.take(words, 6);
    this.address = address;
    this.stride = 4 * words;
    return lists as Lists;
  }

  /** Makes tags fine enough for accesses of `2 ** grain` bytes. */
  refine(grain: number): void {
    const factor = 2 ** (this.grain - grain);
    if (factor <= 1) return;
    const old = [
      this.writers,
      this.writeTimes,
      this.readers,
      this.readTimes,
      this.writeSites,
      this.readSites,
    ];
    const lists = this.#lists(this.writers.length * factor);
    for (const [index, list] of lists.entries()) {
      const from = old[index] ?? [];
      // Most of a large allocation was never touched: its pages, here and there, stay unbacked.
      for (let at = 0; at < from.length; at++) {
        const tag = from[at];
        if (tag !== undefined && tag !== 0) list.fill(tag, at * factor, (at + 1) * factor);
      }
    }
    [this.writers, this.writeTimes, this.readers, this.readTimes, this.writeSites, this.readSites] =
      lists;
    this.grain = grain;
  }

  clear(): void {
    for (const list of [this.writers, this.writeTimes, this.readers, this.readTimes]) list.fill(0);
  }
}

/** One bit per byte: has it been written? */
export class WrittenBits {
  #bits: Uint32Array | undefined;
  readonly #bytes: number;
  readonly #arena: ShadowArena;
  #address = 0;
  #all = false;

  constructor(bytes: number, arena: ShadowArena) {
    this.#bytes = bytes;
    this.#arena = arena;
  }

  #made(): Uint32Array {
    if (this.#bits === undefined) {
      const { address, lists } = this.#arena.take((this.#bytes + 31 + 128) >> 5, 1);
      this.#address = address;
      this.#bits = lists[0] ?? new Uint32Array(0);
    }
    return this.#bits;
  }

  /** Linear address of the bits; 0 when there are none to look at. */
  get address(): number {
    this.#made();
    return this.#address;
  }

  get all(): boolean {
    return this.#all;
  }

  clear(): void {
    this.#all = false;
    this.#bits?.fill(0);
  }

  /** Marks [from, to). */
  mark(from: number, to: number): void {
    if (this.#all) return;
    if (from <= 0 && to >= this.#bytes) {
      this.#all = true;
      return;
    }
    const bits = this.#made();
    if ((from & 15) === 0 && to - from === 16) {
      bits[from >> 5] = (bits[from >> 5] ?? 0) | (0xffff << (from & 16));
      return;
    }
    let at = from;
    while (at < to) {
      if ((at & 31) === 0 && to - at >= 32) {
        const end = to >> 5;
        bits.fill(0xffffffff, at >> 5, end);
        at = end << 5;
        continue;
      }
      bits[at >> 5] = (bits[at >> 5] ?? 0) | (1 << (at & 31));
      at++;
    }
  }

  /** First byte of [from, to) that was never written, or -1. */
  firstUnwritten(from: number, to: number): number {
    if (this.#all) return -1;
    const bits = this.#bits;
    if (bits === undefined) return from < to ? from : -1;
    for (let at = from; at < to; at++) {
      const word = bits[at >> 5] ?? 0;
      if ((at & 31) === 0 && to - at >= 32 && word === 0xffffffff) at += 31;
      else if (((word >>> (at & 31)) & 1) === 0) return at;
    }
    return -1;
  }

  /** Takes over the state of `count` bytes of another stretch. */
  copyFrom(other: WrittenBits, from: number, to: number, count: number): void {
    if (other.firstUnwritten(from, from + count) === -1) {
      this.mark(to, to + count);
      return;
    }
    const written = Array.from(
      { length: count },
      (_, at) => other.firstUnwritten(from + at, from + at + 1) === -1,
    );
    for (const [at, isWritten] of written.entries()) {
      if (isWritten) this.mark(to + at, to + at + 1);
      else this.#unmark(to + at);
    }
  }

  /** Takes back that [from, to) was written. */
  forget(from: number, to: number): void {
    if (from >= to) return;
    this.#unmark(from);
    const bits = this.#bits;
    if (bits === undefined) return;
    if ((from & 15) === 0 && to - from === 16) {
      bits[from >> 5] = (bits[from >> 5] ?? 0) & ~(0xffff << (from & 16));
      return;
    }
    let at = from;
    while (at < to) {
      if ((at & 31) === 0 && to - at >= 32) {
        const end = to >> 5;
        bits.fill(0, at >> 5, end);
        at = end << 5;
        continue;
      }
      bits[at >> 5] = (bits[at >> 5] ?? 0) & ~(1 << (at & 31));
      at++;
    }
  }

  #unmark(at: number): void {
    if (this.#all) {
      this.#all = false;
      this.#made().fill(0xffffffff);
    }
    const bits = this.#bits;
    if (bits !== undefined) bits[at >> 5] = (bits[at >> 5] ?? 0) & ~(1 << (at & 31));
  }
}

export class Shadow {
  readonly bytes: number;
  readonly written: WrittenBits;
  #tags: AccessTags | undefined;
  readonly #arena: ShadowArena;
  /** Number of the last launch that wrote here. */
  lastWrite = 0;
  /** Per 4-byte word: asynchronous copies that will land there. */
  #pending: Uint8Array | undefined;

  constructor(bytes: number, arena: ShadowArena) {
    this.bytes = bytes;
    this.#arena = arena;
    this.written = new WrittenBits(bytes, arena);
  }

  get tags(): AccessTags {
    this.#tags ??= new AccessTags(this.bytes, this.#arena);
    return this.#tags;
  }

  get existingTags(): AccessTags | undefined {
    return this.#tags;
  }

  get pending(): Uint8Array {
    this.#pending ??= new Uint8Array((this.bytes + 3) >> 2);
    return this.#pending;
  }

  get hasPending(): boolean {
    return this.#pending !== undefined;
  }

  /** A block begins on this memory: nothing is written; old tags are of ended blocks. */
  reset(): void {
    this.written.clear();
    this.#pending?.fill(0);
  }
}

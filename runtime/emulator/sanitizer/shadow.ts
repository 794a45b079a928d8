/** What is known of every byte of a stretch of memory: written ever, and last touched by whom. */

/** Lanes above 31 of an identity: readers too many to name. */
export const SEVERAL_LANES = 32;
export const SEVERAL_WARPS = 33;
export const SEVERAL_BLOCKS = 34;
/** Bit of a time: the access was atomic, volatile or ordered, so it races with no other such. */
export const STRONG = 0x80000000;

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

  constructor(bytes: number, grain = 2) {
    const count = (bytes + (1 << grain) - 1) >> grain;
    this.grain = grain;
    this.writers = new Uint32Array(count);
    this.writeTimes = new Uint32Array(count);
    this.readers = new Uint32Array(count);
    this.readTimes = new Uint32Array(count);
    this.writeSites = new Uint32Array(count);
    this.readSites = new Uint32Array(count);
  }

  /** Makes tags fine enough for accesses of `2 ** grain` bytes. */
  refine(grain: number): void {
    const factor = 2 ** (this.grain - grain);
    if (factor <= 1) return;
    const spread = (old: Uint32Array): Uint32Array => {
      const fine = new Uint32Array(old.length * factor);
      for (let at = 0; at < fine.length; at++) fine[at] = old[Math.floor(at / factor)] ?? 0;
      return fine;
    };
    this.writers = spread(this.writers);
    this.writeTimes = spread(this.writeTimes);
    this.readers = spread(this.readers);
    this.readTimes = spread(this.readTimes);
    this.writeSites = spread(this.writeSites);
    this.readSites = spread(this.readSites);
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
  #all: boolean;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#all = false;
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
      this.#bits = undefined;
      return;
    }
    this.#bits ??= new Uint32Array((this.#bytes + 31) >> 5);
    const bits = this.#bits;
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

  #unmark(at: number): void {
    if (this.#all) {
      this.#all = false;
      this.#bits = new Uint32Array((this.#bytes + 31) >> 5).fill(0xffffffff);
    }
    const bits = this.#bits;
    if (bits !== undefined) bits[at >> 5] = (bits[at >> 5] ?? 0) & ~(1 << (at & 31));
  }
}

export class Shadow {
  readonly bytes: number;
  readonly written: WrittenBits;
  #tags: AccessTags | undefined;
  /** Per 4-byte word: asynchronous copies that will land there. */
  #pending: Uint8Array | undefined;

  constructor(bytes: number) {
    this.bytes = bytes;
    this.written = new WrittenBits(bytes);
  }

  get tags(): AccessTags {
    this.#tags ??= new AccessTags(this.bytes);
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

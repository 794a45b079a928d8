import { HydrantError } from "../util/errors.ts";

/** A tuple, told apart from a list. */
export class PickleTuple {
  readonly items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** A dict in insertion order; a later entry of the same key wins when read through `toMap`. */
export class PickleDict {
  readonly entries: (readonly [unknown, unknown])[] = [];

  toMap(): Map<unknown, unknown> {
    return new Map(this.entries);
  }
}

/**
 * What a pickle may reach outside itself. Each method returns the value to push, or throws; there
 * is no way to name a function that is not here.
 */
export interface PickleHost {
  /** Resolves `module name`; throws for all but a fixed set. */
  global(module: string, name: string): unknown;
  /**
   * Applies a value that `global` returned.
   * @param key of the dict entry being built, as far as can be told; for errors.
   */
  reduce(callable: unknown, args: readonly unknown[], key: string | undefined): unknown;
  /** Resolves a persistent id: in torch files, a storage. */
  persistent(id: unknown): unknown;
}

/**
 * Bounds on what an unpickling may build. A checkpoint of 40,000 tensors stays inside; a small
 * file that tries to fill memory does not.
 */
const limits = {
  bytes: 16 * 1024 * 1024,
  objects: 250_000,
  stack: 1_000_000,
  memo: 500_000,
} as const;
export const maxPickleBytes = limits.bytes;
const maxNameBytes = 256;

/** Names of the opcodes that state dicts are written with (protocol 2). */
const op = {
  MARK: 0x28,
  STOP: 0x2e,
  BINFLOAT: 0x47,
  BININT: 0x4a,
  BININT1: 0x4b,
  BININT2: 0x4d,
  NONE: 0x4e,
  BINPERSID: 0x51,
  REDUCE: 0x52,
  BINSTRING: 0x54,
  SHORT_BINSTRING: 0x55,
  BINUNICODE: 0x58,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  BUILD: 0x62,
  GLOBAL: 0x63,
  APPENDS: 0x65,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  SETITEM: 0x73,
  TUPLE: 0x74,
  SETITEMS: 0x75,
  EMPTY_DICT: 0x7d,
  EMPTY_TUPLE: 0x29,
  PROTO: 0x80,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  LONG1: 0x8a,
} as const;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/**
 * Reads one pickle from `bytes`, starting at `start`, and runs nothing: the few opcodes of state
 * dicts build plain values, everything else is refused. Numbers beyond 2^53 come back as bigint.
 *
 * @returns the value, and the offset behind its STOP
 * @throws HydrantError `pickle/*` with `file: byte offset` as path, and what the host throws
 */
export function unpickle(
  bytes: Uint8Array,
  host: PickleHost,
  file: string,
  start = 0,
): { value: unknown; end: number } {
  return new Unpickler(bytes, host, file, start).run();
}

class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #host: PickleHost;
  readonly #file: string;
  #at: number;
  #opcodeAt: number;
  readonly #stack: unknown[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  #objects = 0;

  constructor(bytes: Uint8Array, host: PickleHost, file: string, start: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#host = host;
    this.#file = file;
    this.#at = start;
    this.#opcodeAt = start;
  }

  run(): { value: unknown; end: number } {
    while (true) {
      this.#opcodeAt = this.#at;
      const opcode = this.#byte();
      if (opcode === op.STOP) return { value: this.#pop(), end: this.#at };
      this.#step(opcode);
      if (this.#stack.length > limits.stack || this.#marks.length > limits.stack) {
        throw this.#fail("too-large", "It stacks up more values than a checkpoint ever does.");
      }
    }
  }

  #step(opcode: number): void {
    switch (opcode) {
      case op.PROTO: {
        const protocol = this.#byte();
        if (protocol !== 2)
          throw this.#fail("unsupported", `Pickle protocol ${protocol} is not supported, only 2.`);
        return;
      }
      case op.MARK:
        this.#marks.push(this.#stack.length);
        return;
      case op.NONE:
        this.#push(null);
        return;
      case op.NEWTRUE:
        this.#push(true);
        return;
      case op.NEWFALSE:
        this.#push(false);
        return;
      case op.BININT:
        this.#push(this.#view.getInt32(this.#take(4), true));
        return;
      case op.BININT1:
        this.#push(this.#byte());
        return;
      case op.BININT2:
        this.#push(this.#view.getUint16(this.#take(2), true));
        return;
      case op.LONG1:
        this.#push(this.#long(this.#byte()));
        return;
      case op.BINFLOAT:
        this.#push(this.#view.getFloat64(this.#take(8), false));
        return;
      case op.BINUNICODE:
        this.#push(this.#text(this.#view.getUint32(this.#take(4), true), "utf-8"));
        return;
      case op.BINSTRING:
        this.#push(this.#text(this.#view.getUint32(this.#take(4), true), "latin1"));
        return;
      case op.SHORT_BINSTRING:
        this.#push(this.#text(this.#byte(), "latin1"));
        return;
      case op.EMPTY_LIST:
        this.#pushObject([]);
        return;
      case op.EMPTY_DICT:
        this.#pushObject(new PickleDict());
        return;
      case op.EMPTY_TUPLE:
        this.#pushObject(new PickleTuple([]));
        return;
      case op.TUPLE:
        this.#pushObject(new PickleTuple(this.#popToMark()));
        return;
      case op.TUPLE1:
      case op.TUPLE2:
      case op.TUPLE3:
        this.#pushObject(new PickleTuple(this.#popMany(opcode - op.TUPLE1 + 1)));
        return;
      case op.BINPUT:
        this.#remember(this.#byte());
        return;
      case op.LONG_BINPUT:
        this.#remember(this.#view.getUint32(this.#take(4), true));
        return;
      case op.BINGET:
        this.#recall(this.#byte());
        return;
      case op.LONG_BINGET:
        this.#recall(this.#view.getUint32(this.#take(4), true));
        return;
      case op.APPEND:
        this.#append(this.#popMany(1));
        return;
      case op.APPENDS:
        this.#append(this.#popToMark());
        return;
      case op.SETITEM:
        this.#setItems(this.#popMany(2));
        return;
      case op.SETITEMS:
        this.#setItems(this.#popToMark());
        return;
      case op.GLOBAL:
        this.#push(this.#host.global(this.#line(), this.#line()));
        return;
      case op.BINPERSID:
        this.#pushObject(this.#host.persistent(this.#pop()));
        return;
      case op.REDUCE: {
        const [callable, args] = this.#popMany(2);
        if (!(args instanceof PickleTuple))
          throw this.#fail("malformed", "The arguments of a call are no tuple.");
        // A dict's key lies under its value; a parameter's own call may lie between.
        const key = this.#stack.slice(-2).findLast((value) => typeof value === "string");
        this.#pushObject(this.#host.reduce(callable, args.items, key));
        return;
      }
      case op.BUILD:
        // The one use is the `_metadata` of a state dict, which says nothing about the weights.
        this.#pop();
        if (!(this.#top() instanceof PickleDict))
          throw this.#fail("refused", "It sets the state of an object.");
        return;
      default:
        throw this.#fail(
          "unsupported",
          `Opcode 0x${opcode.toString(16).padStart(2, "0")} does not occur in a state dict.`,
          "Save the weights again as a plain state dict, or convert them to safetensors.",
        );
    }
  }

  #push(value: unknown): void {
    this.#stack.push(value);
  }

  #pushObject(value: unknown): void {
    if (++this.#objects > limits.objects) {
      throw this.#fail("too-large", `It builds more than ${limits.objects} objects.`);
    }
    this.#stack.push(value);
  }

  #pop(): unknown {
    return this.#popMany(1)[0];
  }

  #popMany(count: number): unknown[] {
    const from = this.#stack.length - count;
    if (from < (this.#marks.at(-1) ?? 0))
      throw this.#fail("malformed", "It takes a value that is not there.");
    return this.#stack.splice(from);
  }

  #popToMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined)
      throw this.#fail("malformed", "It closes a group that was never opened.");
    return this.#stack.splice(mark);
  }

  #top(): unknown {
    const last = this.#stack.length - 1;
    if (last < (this.#marks.at(-1) ?? 0))
      throw this.#fail("malformed", "It takes a value that is not there.");
    return this.#stack[last];
  }

  #remember(slot: number): void {
    const value = this.#top();
    if (this.#memo.size >= limits.memo)
      throw this.#fail("too-large", "It remembers too many values.");
    this.#memo.set(slot, value);
  }

  #recall(slot: number): void {
    if (!this.#memo.has(slot))
      throw this.#fail("malformed", `It recalls value ${slot}, which was never stored.`);
    this.#push(this.#memo.get(slot));
  }

  #append(items: unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list))
      throw this.#fail("malformed", "It appends to something that is no list.");
    for (const item of items) list.push(item);
  }

  #setItems(items: unknown[]): void {
    const dict = this.#top();
    if (!(dict instanceof PickleDict))
      throw this.#fail("malformed", "It sets items of something that is no dict.");
    if (items.length % 2 !== 0) throw this.#fail("malformed", "It sets a key without a value.");
    for (let i = 0; i < items.length; i += 2) dict.entries.push([items[i], items[i + 1]]);
  }

  /** Little-endian two's complement of `size` bytes. */
  #long(size: number): number | bigint {
    if (size > 16) throw this.#fail("too-large", `It holds an integer of ${size} bytes.`);
    const from = this.#take(size);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[from + i] ?? 0);
    const signed = BigInt.asIntN(8 * size, value);
    return BigInt(Number.MIN_SAFE_INTEGER) <= signed && signed <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(signed)
      : signed;
  }

  #text(length: number, encoding: "utf-8" | "latin1"): string {
    const from = this.#take(length);
    const bytes = this.#bytes.subarray(from, from + length);
    if (encoding === "latin1") return latin1(bytes);
    try {
      return utf8.decode(bytes);
    } catch {
      throw this.#fail("malformed", "It holds a string that is not valid UTF-8.");
    }
  }

  #line(): string {
    const from = this.#at;
    for (let end = from; end < from + maxNameBytes; end++) {
      if (this.#bytes[end] === 0x0a) {
        this.#at = end + 1;
        return latin1(this.#bytes.subarray(from, end));
      }
    }
    this.#take(maxNameBytes);
    throw this.#fail("malformed", "It holds a name without an end.");
  }

  #byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  /** Claims the next `count` bytes; returns where they start. */
  #take(count: number): number {
    const from = this.#at;
    if (count > this.#bytes.length - from) {
      const [code, message] =
        this.#bytes.length >= limits.bytes
          ? ["too-large", `It is longer than ${limits.bytes} bytes.`]
          : ["truncated", "It ends in the middle of a value."];
      throw this.#fail(code, message);
    }
    this.#at += count;
    return from;
  }

  #fail(code: string, message: string, hint?: string): HydrantError {
    return new HydrantError(`pickle/${code}`, message, {
      path: `${this.#file}: byte ${this.#opcodeAt}`,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

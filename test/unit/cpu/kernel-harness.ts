import {
  type ArgumentsOf,
  type KernelName,
  kernelModule,
  kernels,
  memoryLimits,
} from "../../../runtime/cpu/kernels/module.ts";
import { byteSize, type FloatDType } from "../../../src/ir/dtype.ts";
import { fromBf16, fromF16, toBf16, toF16 } from "../../../src/ir/float-formats.ts";
import { control } from "../../../runtime/cpu/kernels/control.ts";

/** One thread's kernels over a memory of their own, with a bump allocator for test data. */
export class KernelHarness {
  readonly memory = new WebAssembly.Memory(memoryLimits);
  readonly exports: Readonly<Record<string, (...args: number[]) => number>>;
  readonly #scratch: number;
  #top: number = control.end;

  constructor() {
    this.memory.grow(512);
    const module = new WebAssembly.Module(kernelModule());
    this.exports = new WebAssembly.Instance(module, { env: { memory: this.memory } })
      .exports as never;
    this.#scratch = this.allocate(4 << 20);
  }

  /** Zeroed bytes, 16-byte aligned plus `skew`, with poison (NaN in every float type) behind them. */
  allocate(bytes: number, skew = 0): number {
    const address = this.#top + skew;
    this.#top = (address + bytes + 63) & -16;
    if (this.#top > this.memory.buffer.byteLength) throw new RangeError("test memory is full");
    new Uint8Array(this.memory.buffer, address, bytes).fill(0);
    new Uint8Array(this.memory.buffer, address + bytes, this.#top - address - bytes).fill(0xff);
    return address;
  }

  f32(values: ArrayLike<number>, skew = 0): number {
    const address = this.allocate(values.length * 4, skew);
    this.view(address, values.length).set(values);
    return address;
  }

  i32(values: ArrayLike<number>): number {
    const address = this.allocate(values.length * 4);
    new Int32Array(this.memory.buffer, address, values.length).set(values);
    return address;
  }

  u64(values: readonly bigint[]): number {
    const address = this.allocate(values.length * 8);
    new BigUint64Array(this.memory.buffer, address, values.length).set(values);
    return address;
  }

  /** Numbers stored in a type: where, and what they became by rounding. */
  stored(dtype: FloatDType, values: ArrayLike<number>): { address: number; values: Float32Array } {
    const numbers = Float32Array.from(values);
    const address = this.allocate(numbers.length * byteSize(dtype));
    if (dtype === "f32") {
      this.view(address, numbers.length).set(numbers);
      return { address, values: numbers };
    }
    const [encode, decode] = dtype === "bf16" ? [toBf16, fromBf16] : [toF16, fromF16];
    const bits = new Uint16Array(this.memory.buffer, address, numbers.length);
    bits.set(numbers.map(encode));
    return { address, values: Float32Array.from(bits, decode) };
  }

  view(address: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, count);
  }

  ints(address: number, count: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, count);
  }

  /** Calls a kernel over a part of its parallel axis. */
  call<K extends KernelName>(name: K, args: ArgumentsOf<K>, begin: number, end: number): void {
    const values = args as Readonly<Record<string, number>>;
    const list = Object.entries(kernels[name].params).map(([param, kind]) =>
      kind === "scratch" ? this.#scratch : (values[param] ?? 0),
    );
    this.exports[name]?.(...list, begin, end);
  }

  /** Calls a kernel over [0, extent) in the given number of parts, last part first. */
  split<K extends KernelName>(name: K, args: ArgumentsOf<K>, extent: number, parts: number): void {
    for (let part = parts - 1; part >= 0; part--) {
      const border = (at: number) => Math.floor((at * extent) / parts);
      this.call(name, args, border(part), border(part + 1));
    }
  }

  /** The error reported since the last look: [code, value]; code 0 for none. */
  takeError(): readonly [code: number, value: number] {
    const words = new Int32Array(this.memory.buffer, control.error, 3);
    const found = [words[0] ?? 0, words[2] ?? 0] as const;
    words.fill(0);
    return found;
  }
}

/** Reproducible numbers, roughly normal with deviation 1. */
export function gaussians(count: number, seed = 1): Float32Array {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => uniform() + uniform() + uniform() + uniform() - 2,
  ).map((value) => value * Math.sqrt(3));
}

/** Distance of an f32 from a number, in units of the last place of the nearest f32. */
export function ulps(got: number, want: number): number {
  const near = Math.fround(want);
  if (Object.is(got, near)) return 0;
  if (!Number.isFinite(near) || !Number.isFinite(got)) return Number.POSITIVE_INFINITY;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(near))), -126);
  return Math.abs(got - want) / 2 ** (exponent - 23);
}

/** A kernel of the conformance suite with its input, and how one run of it is checked. */
import { expect } from "vitest";
import {
  type CudaDriver,
  type DevicePtr,
  type Dim3,
  TENSOR_MAP_ALIGN,
} from "../../../runtime/driver/driver.ts";
import { type KernelArg, packArgs } from "../../../runtime/driver/kernel-args.ts";
import type { TensorMap } from "../../../src/ir/program.ts";

export type CaseArg =
  | { readonly kind: "buffer"; readonly data: ArrayBufferView }
  /** A buffer that the kernel gets a tensor map of. */
  | { readonly kind: "matrix"; readonly data: Uint16Array; readonly map: TensorMap }
  /** Memory nothing has written: the kernel must fill it. */
  | { readonly kind: "empty"; readonly bytes: number }
  | { readonly kind: "scalar"; readonly arg: KernelArg };

export interface KernelCase {
  readonly name: string;
  /** File of test/conformance/cuda, without its ending. */
  readonly source: string;
  readonly entry: string;
  readonly grid?: number | Dim3;
  readonly block: number | Dim3;
  readonly sharedBytes?: number;
  readonly cluster?: number;
  readonly cooperative?: boolean;
  /** The kernel is only there when compiled by at least this major version of NVRTC. */
  readonly nvrtcMajor?: number;
  readonly args: () => readonly CaseArg[];
  /** Memory after the run, by argument; scalars are undefined. */
  readonly check: (after: readonly (ArrayBuffer | undefined)[]) => void;
}

export const buffer = (data: ArrayBufferView): CaseArg => ({ kind: "buffer", data });
export const empty = (bytes: number): CaseArg => ({ kind: "empty", bytes });
export const int = (value: number): CaseArg => ({ kind: "scalar", arg: { type: "i32", value } });

const dim = (size: number | Dim3): Dim3 =>
  typeof size === "number" ? { x: size, y: 1, z: 1 } : size;

/** Runs a case on any driver whose context is current, and checks what it left behind. */
export function runKernelCase(driver: CudaDriver, image: Uint8Array, test: KernelCase): void {
  const module = driver.moduleLoadData(image);
  const fn = driver.moduleGetFunction(module, test.entry);
  const places: { readonly ptr: DevicePtr; readonly bytes: number }[] = [];
  const args = test.args();
  const kernelArgs = args.map((arg): KernelArg => {
    if (arg.kind === "scalar") return arg.arg;
    const bytes = arg.kind === "empty" ? arg.bytes : arg.data.byteLength;
    const ptr = driver.memAlloc(bytes);
    if (arg.kind !== "empty") driver.memcpyHtoD(ptr, arg.data);
    places.push({ ptr, bytes });
    if (arg.kind === "matrix") {
      const value = driver.tensorMapEncode(ptr, arg.map);
      return { type: "bytes", value, align: TENSOR_MAP_ALIGN };
    }
    return { type: "ptr", value: ptr };
  });
  const stream = driver.streamCreate();
  driver.launch(
    {
      function: fn,
      grid: dim(test.grid ?? 1),
      block: dim(test.block),
      sharedBytes: test.sharedBytes ?? 0,
      args: packArgs(kernelArgs),
      ...(test.cluster === undefined ? {} : { cluster: dim(test.cluster) }),
      ...(test.cooperative === undefined ? {} : { cooperative: test.cooperative }),
    },
    stream,
  );
  driver.streamSynchronize(stream);
  let next = 0;
  const after = args.map((arg) => {
    if (arg.kind === "scalar") return undefined;
    const place = places[next++];
    const out = new Uint8Array(place?.bytes ?? 0);
    if (place !== undefined) driver.memcpyDtoH(out, place.ptr);
    return out.buffer;
  });
  for (const { ptr } of places) driver.memFree(ptr);
  driver.streamDestroy(stream);
  driver.moduleUnload(module);
  test.check(after);
}

/** Results of kernels that write result k of element i to `out[k * n + i]`, compared one by one. */
export function expectResults<T>(
  actual: ArrayLike<T>,
  n: number,
  expected: readonly (readonly [name: string, values: readonly T[]])[],
): void {
  const seen = expected.map(([name], k) => [
    name,
    Array.from({ length: n }, (_, i) => actual[k * n + i]),
  ]);
  expect(seen).toEqual(expected.map(([name, values]) => [name, [...values]]));
  expect(actual.length).toBe(expected.length * n);
}

/** Integers worth trying, then pseudo-random ones. */
export function interestingInts(count: number, seed: number): Int32Array<ArrayBuffer> {
  const special = [0, 1, -1, 2, -2, 7, 31, 32, 33, 64, 255, 256, 65535, 65536, -65536];
  const extremes = [0x7fffffff, -0x80000000, 0x55555555, -0x55555556, 0x00ff00ff, 1 << 30];
  const out = new Int32Array(count);
  let state = seed | 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const listed = [...special, ...extremes][(i * 7 + seed) % 61];
    out[i] = listed ?? state >> (i % 29);
  }
  return out;
}

/** Floats worth trying, then pseudo-random ones of all sizes. */
export function interestingFloats(count: number, seed: number): Float32Array<ArrayBuffer> {
  const special = [0, -0, 1, -1, 0.5, 1.5, 2.5, -2.5, 3, 1e-40, -1e-40, 2 ** -126, 2 ** -149];
  const extremes = [3.4028234663852886e38, -3.4028234663852886e38, Infinity, -Infinity, Number.NaN];
  const ints = interestingInts(count, seed);
  return Float32Array.from(ints, (bits, i) => {
    const listed = [...special, ...extremes, 65504, 65520, 2147483648, -2147483648, 4294967296][
      (i * 5 + seed) % 71
    ];
    return listed ?? (bits / 2 ** 31) * 2 ** ((i % 60) - 30);
  });
}

/** Pseudo-random floats in [-1, 1). */
export function smallFloats(count: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed | 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

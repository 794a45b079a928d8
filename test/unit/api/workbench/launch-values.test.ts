import { describe, expect, it } from "vitest";
import type {
  ArgumentSpec,
  BufferSpec,
  KernelSpec,
  LaunchSpec,
} from "../../../../src/api/inspect/kernel-spec.ts";
import { firstBlocks } from "../../../../src/api/workbench/compare-kernel.ts";
import {
  chooseContextLength,
  launchBuffers,
  launchValues,
} from "../../../../src/api/workbench/launch-values.ts";
import { decodeFloats } from "../../../../src/ir/float-formats.ts";
import { packedIndex } from "../../../../src/ir/weight-layout.ts";

const capacity = 200;

function situation(args: readonly ArgumentSpec[]): { spec: KernelSpec; launch: LaunchSpec } {
  const traffic = { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 };
  const launch = { label: "x", index: 0, count: 1, grid: [1, 1, 1], ...traffic, args } as const;
  const spec: KernelSpec = {
    format: "hydrant-kernel-1",
    entry: "kernel",
    family: "linear",
    arch: "sm_80",
    compileOptions: [],
    threads: 32,
    dynamicSharedBytes: 0,
    dims: { capacity },
    ring: { slots: 4, slotBytes: 64 },
    launches: [launch],
  };
  return { spec, launch };
}

const argument = (
  buffer: Partial<BufferSpec> & Pick<BufferSpec, "id" | "kind">,
  access: "read" | "write" | "update" = "read",
): ArgumentSpec => {
  const elements = buffer.elements ?? 4;
  const dtype = buffer.dtype ?? "i32";
  const bytes = elements * { f32: 4, f16: 2, bf16: 2, i32: 4, u64: 8 }[dtype];
  const whole = { label: "", dtype, elements, bytes, ...buffer };
  return { name: `arg${buffer.id}`, type: "buffer", access, buffer: whole };
};

const options = { context: 50, temperature: 0.5, seed: 3 };

/** Content of buffer 1 of a launch with these arguments. */
function contentOf(...args: readonly ArgumentSpec[]): Uint8Array {
  const { spec, launch } = situation(args);
  const content = launchValues(spec, launch, options).get(1);
  if (content instanceof Uint8Array) return content;
  throw new Error(`no bytes but ${content}`);
}
const integersOf = (...args: readonly ArgumentSpec[]) => [
  ...new Int32Array(contentOf(...args).slice().buffer),
];

describe("what a launch finds in its buffers", () => {
  it("is the context in the state that holds the length, and zeros in counters", () => {
    const length = argument({ id: 1, kind: "state", name: "length", elements: 1 });
    expect(integersOf(length)).toEqual([50]);
    expect(integersOf(argument({ id: 1, kind: "counter" }, "update"))).toEqual([0, 0, 0, 0]);
  });

  it("is a constant's own data", () => {
    const data = Buffer.from(Int32Array.of(5, -6).buffer).toString("base64");
    expect(integersOf(argument({ id: 1, kind: "constant", elements: 2, data }))).toEqual([5, -6]);
  });

  it("is a whole accepted path: ascending, and as long as the count says", () => {
    const path = argument({ id: 2, kind: "scratch", label: "accept: path", elements: 5 });
    const count = argument({ id: 1, kind: "scratch", label: "accept: count", elements: 1 });
    expect(integersOf(path, count)).toEqual([5]);
    const alone = argument({ id: 1, kind: "scratch", label: "accept: path", elements: 3 });
    expect(integersOf(alone)).toEqual([0, 1, 2]);
  });

  it("is tokens that every vocabulary has", () => {
    const tokens = integersOf(argument({ id: 1, kind: "scratch", elements: 100 }));
    expect(Math.min(...tokens)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...tokens)).toBeLessThan(8);
    expect(new Set(tokens).size).toBeGreaterThan(4);
  });

  it("is weights scaled by their inputs, with zeros where a packed weight is padded", () => {
    const weight = argument({
      id: 1,
      kind: "parameter",
      name: "w",
      dtype: "bf16",
      shape: [20, 900],
      elements: 18000,
      bytes: 32 * 912 * 2,
    });
    const values = decodeFloats("bf16", contentOf(weight));
    const inside = Array.from(
      { length: 18000 },
      (_, i) => values[packedIndex(Math.floor(i / 900), i % 900, 900)] ?? 0,
    );
    const square = inside.reduce((sum, value) => sum + value * value, 0);
    expect(square / 20).toBeCloseTo(1, 1);
    const all = values.reduce((sum, value) => sum + value * value, 0);
    expect(all).toBeCloseTo(square, 6);
  });

  it("is random rows of a cache up to the context and the rows, and zeros after them", () => {
    const cache = argument({
      id: 1,
      kind: "state",
      name: "kv.0.k",
      dtype: "f32",
      shape: [capacity, 4],
      elements: capacity * 4,
    });
    const values = decodeFloats("f32", contentOf(cache));
    const isZero = (slot: number) => values.slice(4 * slot, 4 * slot + 4).every((x) => x === 0);
    expect([0, 49, 113, 114, 199].map(isZero)).toEqual([false, false, false, true, true]);
  });

  it("is positive sums of squares", () => {
    const sums = argument({ id: 1, kind: "scratch", label: "sums of squares", dtype: "f32" });
    expect(Math.min(...decodeFloats("f32", contentOf(sums)))).toBeGreaterThan(0);
  });

  it("is the same for the same seed, and other numbers for another", () => {
    const { spec, launch } = situation([
      argument({ id: 1, kind: "scratch", dtype: "f32", elements: 64 }),
    ]);
    const of = (seed: number) => launchValues(spec, launch, { ...options, seed }).get(1);
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
  });

  it("shows where a result was not written, and nothing at all in a kernel's own memory", () => {
    const { spec, launch } = situation([
      argument({ id: 1, kind: "scratch" }, "write"),
      argument({ id: 2, kind: "scratch" }, "update"),
    ]);
    expect([...launchValues(spec, launch, options).values()]).toEqual([
      "unwritten",
      "uninitialised",
    ]);
    expect([...launchBuffers(launch).values()].map(({ isWorkspace }) => isWorkspace)).toEqual([
      false,
      true,
    ]);
  });
});

describe("the context of a launch", () => {
  const { spec, launch } = situation([]);

  it("is what there is room for beside a tree, and no more than 1000", () => {
    expect(chooseContextLength(spec, launch, undefined)).toBe(136);
    const large = { ...spec, dims: { capacity: 5000 } };
    expect(chooseContextLength(large, launch, undefined)).toBe(1000);
    expect(chooseContextLength(large, launch, 2000)).toBe(2000);
  });

  it("is refused where the caches are too small", () => {
    expect(() => chooseContextLength(spec, launch, 137)).toThrow(/room for 136 tokens/);
  });
});

describe("the first blocks of a grid", () => {
  it("are whole rows of it, and whole clusters", () => {
    expect(firstBlocks({}, [9, 4, 2], 5)).toEqual([5, 1, 1]);
    expect(firstBlocks({}, [9, 4, 2], 30)).toEqual([9, 3, 1]);
    expect(firstBlocks({}, [9, 4, 2], 1000)).toEqual([9, 4, 2]);
    expect(firstBlocks({ cluster: [1, 4, 1] }, [1, 4, 32], 10)).toEqual([1, 4, 2]);
    expect(firstBlocks({ cluster: [1, 4, 1] }, [1, 4, 32], 1)).toEqual([1, 4, 1]);
  });
});

import { describe, expect, it } from "vitest";
import type { Buffer, KernelSource, Launch, Program } from "../../../src/ir/program.ts";
import { printProgram } from "../../../src/ir/program-print.ts";

const buffers: readonly Buffer[] = [
  {
    dtype: "bf16",
    elements: 64,
    bytes: 128,
    storage: { kind: "parameter", name: "norm.weight" },
    label: "",
  },
  { dtype: "f32", elements: 192, bytes: 768, storage: { kind: "scratch", offset: 0 }, label: "x" },
  {
    dtype: "f32",
    elements: 192,
    bytes: 768,
    storage: { kind: "scratch", offset: 768 },
    label: "y",
  },
  {
    dtype: "bf16",
    elements: 640,
    bytes: 1280,
    storage: { kind: "state", name: "kv.0.k" },
    label: "",
  },
  { dtype: "i32", elements: 1, bytes: 4, storage: { kind: "input", name: "count" }, label: "" },
  { dtype: "i32", elements: 8, bytes: 32, storage: { kind: "counter" }, label: "" },
  {
    dtype: "f32",
    elements: 2,
    bytes: 8,
    storage: { kind: "constant", data: new Uint8Array(8) },
    label: "",
  },
];

function kernel(entry: string, sharedBytes = 0): KernelSource {
  return { entry, family: entry, source: "", threads: 64, sharedBytes };
}

const norm: Launch = {
  kernel: "norm",
  grid: [3, 1, 1],
  args: [
    { name: "x", type: "buffer", buffer: 1, access: "read" },
    { name: "weight", type: "buffer", buffer: 0, access: "read" },
    { name: "y", type: "buffer", buffer: 2, access: "write" },
  ],
  label: "layers.0.norm",
  traffic: { weightBytes: 128, readBytes: 768, writtenBytes: 768, flops: 768 },
};
const product: Launch = {
  kernel: "product",
  grid: [8, 2, 1],
  args: [
    { name: "x", type: "buffer", buffer: 2, access: "read" },
    { name: "scale", type: "buffer", buffer: 6, access: "read" },
    { name: "ready", type: "buffer", buffer: 5, access: "update" },
  ],
  label: "layers.0.q_proj+rope",
  traffic: { weightBytes: 13_000_000, readBytes: 999_700, writtenBytes: 0, flops: 4e9 },
};
const commit: Launch = {
  kernel: "commit",
  grid: [1, 2, 3],
  args: [
    { name: "caches", type: "table", buffers: [3, 3], access: "update" },
    { name: "count", type: "buffer", buffer: 4, access: "read" },
    { name: "elements", type: "i32", value: 700 },
    { name: "scale", type: "f32", value: 0.5 },
    { name: "ring", type: "ring" },
  ],
  label: "commit",
  traffic: { weightBytes: 0, readBytes: 10, writtenBytes: 10, flops: 0 },
};

function program(launches: readonly Launch[]): Program {
  return {
    name: "step",
    dims: { capacity: 1024 },
    kernels: [kernel("norm"), kernel("product", 49152), kernel("commit")],
    buffers,
    launches,
    arenaBytes: 1536,
    ring: { slotBytes: 64, fields: [] },
  };
}

/** Numbers of the launches as they are printed, runs with their count. */
function shape(launches: readonly Launch[]): string[] {
  const printed = printProgram(program(launches), { fold: true });
  return [...printed.matchAll(/^ +(\d+-\d+ {2}\d+ times|\d+ {2}\w+)/gm)].map(
    ([, part = ""]) => part,
  );
}

describe("printing a program", () => {
  it("says which boxes of a matrix are copied through a tensor map", () => {
    const map = { dtype: "bf16", rows: 9, columns: 64, boxRows: 16 } as const;
    const boxed: Launch = {
      ...norm,
      args: [{ name: "rows", type: "tensor-map", buffer: 3, access: "read", map }],
    };
    expect(printProgram(program([boxed]))).toContain(
      'read rows boxes [16, 64] of [9, 64] in %3 state "kv.0.k" bf16[640]\n',
    );
  });

  it("shows each launch with what it moves and its arguments, then totals", () => {
    expect(printProgram(program([norm, product, commit]))).toMatchInlineSnapshot(`
      "program step (capacity = 1024)
        0  norm  3 × 64  weights 128 B, other 1.54 kB  # layers.0.norm
             read x %1 scratch@0 f32[192], read weight %0 parameter "norm.weight" bf16[64], write y %2 scratch@768 f32[192]
        1  product  8,2 × 64, 49.2 kB shared  weights 13.0 MB, other 1.00 MB  # layers.0.q_proj+rope
             read x %2 scratch@768 f32[192], read scale %6 constant f32[2], update ready %5 counter i32[8]
        2  commit  1,2,3 × 64  weights 0 B, other 20 B  # commit
             update caches (2 buffers, the first %3 state "kv.0.k" bf16[640]), read count %4 input "count" i32[1], elements = 700, scale = 0.5, write ring
        kernels    3
        launches   3
        weights    13.0 MB
        other      1.00 MB
        operations 4.00 G
        arena      1.54 kB
        ring slot  64 B
      "
    `);
  });

  it("prints repeated layers once when folded", () => {
    const layers = [norm, product, norm, product, norm, product];
    expect(printProgram(program([...layers, commit]), { fold: true })).toMatchInlineSnapshot(`
      "program step (capacity = 1024)
        0-5  3 times, all together weights 39.0 MB, other 3.00 MB:
          0  norm  3 × 64  weights 128 B, other 1.54 kB  # layers.0.norm
               read x %1 scratch@0 f32[192], read weight %0 parameter "norm.weight" bf16[64], write y %2 scratch@768 f32[192]
          1  product  8,2 × 64, 49.2 kB shared  weights 13.0 MB, other 1.00 MB  # layers.0.q_proj+rope
               read x %2 scratch@768 f32[192], read scale %6 constant f32[2], update ready %5 counter i32[8]
        6  commit  1,2,3 × 64  weights 0 B, other 20 B  # commit
             update caches (2 buffers, the first %3 state "kv.0.k" bf16[640]), read count %4 input "count" i32[1], elements = 700, scale = 0.5, write ring
        kernels    3
        launches   7
        weights    39.0 MB
        other      3.00 MB
        operations 12.0 G
        arena      1.54 kB
        ring slot  64 B
      "
    `);
    expect(printProgram(program([...layers, commit])).match(/^ {2}\d+ {2}/gm)).toHaveLength(7);
  });

  it("finds the shortest period that covers most launches", () => {
    expect(shape([norm, norm, norm, norm])).toEqual(["0-3  4 times", "0  norm"]);
    expect(shape([commit, norm, norm, product, norm, norm, product])).toEqual([
      "0  commit",
      "1-6  2 times",
      "1  norm",
      "2  norm",
      "3  product",
    ]);
    expect(shape([norm, product, norm])).toEqual(["0  norm", "1  product", "2  norm"]);
  });

  it("does not fold launches of one kernel with different grids", () => {
    expect(shape([norm, { ...norm, grid: [4, 1, 1] }])).toEqual(["0  norm", "1  norm"]);
  });

  it("prints an empty program", () => {
    expect(printProgram({ ...program([]), dims: {} }, { fold: true })).toMatch(/^program step\n/);
  });
});

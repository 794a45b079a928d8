import { elementsOf, KernelEntry, type KernelCall } from "../../kernels/entry.ts";
import { fillKernel } from "../../kernels/fill/fill.ts";
import { finish } from "../../kernels/finish/finish.ts";
import { packKernel } from "../../kernels/pack/pack.ts";
import type { ParameterSource } from "../../runtime/executor.ts";
import { GraphBuilder } from "../../src/ir/builder.ts";
import { byteSize, type DType } from "../../src/ir/dtype.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Buffer, Program, ProgramCompiler, Storage } from "../../src/ir/program.ts";
import { type DimBindings, tensor } from "../../src/ir/shape.ts";
import { weightBytes } from "../../src/ir/weight-layout.ts";
import { memoryWeights } from "../helpers/memory-weights.ts";
import { Random } from "../helpers/random.ts";

/*
 * A model of one layer with programs written by hand: what the executor does can be tested without
 * the code generator, and a wrong byte shows.
 */

/** Outputs and inputs of the layer: no multiples of a tile. */
export const [outputs, inputs] = [37, 50] as const;

/** Inputs x f32[1, K], seed u64[1]; outputs y f32[N], calls i32[1], seed; states total, calls. */
export function stepGraph(name: "step" | "large step" = "step"): Graph {
  const b = new GraphBuilder(name);
  const x = b.input("x", tensor("f32", 1, inputs));
  const seed = b.input("seed", tensor("u64", 1));
  const w = b.parameter("w", tensor("bf16", outputs, inputs));
  const scale = b.parameter("scale", tensor("f32", outputs));
  const y = b.mul(b.reshape(b.linear(x, w), outputs), scale);
  const total = b.add(b.state("total", tensor("f32", outputs)), y);
  const calls = b.add(b.state("calls", tensor("i32", 1)), b.constant("i32", [1]));
  b.update("total", total);
  b.update("calls", calls);
  b.output("y", y);
  b.output("calls", calls);
  b.output("seed", seed);
  return b.finish();
}

/** Stores rows: inputs x f32[rows, K], start i32[1]; state cache bf16[capacity, K]; no outputs. */
export function storeGraph(): Graph {
  const b = new GraphBuilder("store");
  const x = b.input("x", tensor("f32", "rows", inputs));
  const start = b.input("start", tensor("i32", 1));
  const cache = b.state("cache", tensor("bf16", "capacity", inputs));
  b.update("cache", b.cacheWrite(cache, x, start));
  return b.finish();
}

export function fixtureWeights(seed = 1): ParameterSource {
  const random = new Random(seed);
  return memoryWeights({
    w: { dtype: "bf16", shape: [outputs, inputs], data: random.normals(outputs * inputs) },
    scale: { dtype: "f32", shape: [outputs], data: random.normals(outputs) },
  });
}

const noTraffic = { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 };

class ProgramBuilder {
  readonly #buffers: Buffer[] = [];
  readonly #calls: KernelCall[] = [];

  buffer(label: string, dtype: DType, elements: number, storage: Storage, bytes?: number): number {
    const size = bytes ?? elements * byteSize(dtype);
    return this.#buffers.push({ dtype, elements, bytes: size, storage, label }) - 1;
  }

  add(call: KernelCall): void {
    this.#calls.push(call);
  }

  finish(name: string, dims: DimBindings, arenaBytes: number, ring: Program["ring"]): Program {
    const kernels = new Map(this.#calls.map(({ kernel }) => [kernel.entry, kernel]));
    return {
      name,
      dims,
      kernels: [...kernels.values()],
      buffers: this.#buffers,
      launches: this.#calls.map(({ launch }) => launch),
      arenaBytes,
      ring,
    };
  }
}

const noMemory = {
  scratch: (): never => {
    throw new Error("nothing here needs scratch memory");
  },
  counters: (): never => {
    throw new Error("nothing here needs counters");
  },
};

/** y = scale · (W x), W packed; a counter is raised and put back on the way. */
function product(b: ProgramBuilder, x: number, y: number): void {
  const entry = new KernelEntry("product");
  const w = b.buffer(
    "w",
    "bf16",
    outputs * inputs,
    { kind: "parameter", name: "w" },
    weightBytes("bf16", [outputs, inputs]),
  );
  const scale = b.buffer("scale", "f32", outputs, { kind: "parameter", name: "scale" });
  const counter = b.buffer("arrived", "i32", 1, { kind: "counter" });
  entry.buffer("w", w, "bf16", "read");
  entry.buffer("scale", scale, "float", "read");
  entry.buffer("x", x, "float", "read");
  entry.buffer("y", y, "float", "write");
  entry.buffer("arrived", counter, "int", "update");
  b.add(
    entry.finish({
      name: "product",
      comment: "A thread for each output.",
      includes: ["kernels/pack/packed-index.cuh"],
      config: "",
      body: `
__shared__ int before;
const int n = threadIdx.x;
if (n == 0) before = atomicAdd(arrived, 1);
__syncthreads();
if (n < ${outputs}) {
  float sum = 0.0f;
  for (int k = 0; k < ${inputs}; k++) sum = fmaf(to_float(w[packed_index<${inputs}>(n, k)]), x[k], sum);
  y[n] = before == 0 ? sum * scale[n] : -1.0f;
}
if (n == 0) *arrived = 0;`,
      threads: 64,
      grid: [1, 1, 1],
      label: "product",
      traffic: noTraffic,
    }),
  );
}

/** The large one differs in where its scratch memory ends. */
function stepProgram(dims: DimBindings, offset: number): Program {
  const b = new ProgramBuilder();
  const x = b.buffer("x", "f32", inputs, { kind: "input", name: "x" });
  const seed = b.buffer("seed", "u64", 1, { kind: "input", name: "seed" });
  const one = b.buffer("one", "i32", 1, {
    kind: "constant",
    data: new Uint8Array(Int32Array.of(1).buffer),
  });
  const y = b.buffer("y", "f32", outputs, { kind: "scratch", offset });
  const total = b.buffer("total", "f32", outputs, { kind: "state", name: "total" });
  const calls = b.buffer("calls", "i32", 1, { kind: "state", name: "calls" });
  const number = b.buffer("number", "i32", 1, { kind: "state", name: "ring.number" });
  product(b, x, y);
  const of = elementsOf(y, "float", "y");
  const sum: typeof of = (entry) => {
    const [old, added] = [elementsOf(total, "float", "total")(entry), of(entry)];
    return (i) => `${old(i)} + ${added(i)}`;
  };
  const next: typeof of = (entry) => {
    const [old, added] = [
      elementsOf(calls, "int", "calls")(entry),
      elementsOf(one, "int", "one")(entry),
    ];
    return (i) => `${old(i)} + ${added(i)}`;
  };
  const fields = [
    { name: "y", dtype: "f32", elements: outputs, offset: 16 },
    { name: "calls", dtype: "i32", elements: 1, offset: 168 },
    { name: "seed", dtype: "u64", elements: 1, offset: 176 },
  ] as const;
  const values = [of, next, elementsOf(seed, "u64", "seed")];
  const slotBytes = 192;
  b.add(
    finish(
      {
        updates: [
          { value: sum, state: total, dtype: "f32", elements: outputs },
          { value: next, state: calls, dtype: "i32", elements: 1 },
        ],
        outputs: fields.map((field, i) => ({ ...field, value: values[i] ?? of })),
        slotBytes,
        number,
        label: "finish",
      },
      noMemory,
    ),
  );
  return b.finish("step", dims, offset + 256, { slotBytes, fields });
}

function storeProgram(dims: DimBindings): Program {
  const { rows = 0, capacity = 0 } = dims;
  const b = new ProgramBuilder();
  const x = b.buffer("x", "f32", rows * inputs, { kind: "input", name: "x" });
  const start = b.buffer("start", "i32", 1, { kind: "input", name: "start" });
  const cache = b.buffer("cache", "bf16", capacity * inputs, { kind: "state", name: "cache" });
  const number = b.buffer("number", "i32", 1, { kind: "state", name: "ring.number" });
  const entry = new KernelEntry("store");
  entry.buffer("x", x, "float", "read");
  entry.buffer("start", start, "int", "read");
  entry.buffer("cache", cache, "bf16", "write");
  b.add(
    entry.finish({
      name: "store",
      comment: "A block for each row.",
      includes: [],
      config: "",
      body: `
for (int i = threadIdx.x; i < ${inputs}; i += 32)
  cache[(*start + blockIdx.x) * ${inputs} + i] = from_float<bf16>(x[blockIdx.x * ${inputs} + i]);`,
      threads: 32,
      grid: [rows, 1, 1],
      label: "store",
      traffic: noTraffic,
    }),
  );
  // Slots of another size than the step's: both programs use the one ring by turns.
  const slotBytes = 16;
  b.add(finish({ updates: [], outputs: [], slotBytes, number, label: "finish" }, noMemory));
  return b.finish("store", dims, 0, { slotBytes, fields: [] });
}

export const fixtureCompiler: ProgramCompiler = {
  compile(graph, dims) {
    switch (graph.name) {
      case "step":
        return stepProgram(dims, 256);
      case "large step":
        return stepProgram(dims, 65_536);
      case "store":
        return storeProgram(dims);
      default:
        throw new Error(`there is no program for ${graph.name}`);
    }
  },
  pack: packKernel,
  fill: fillKernel,
};

/** An input row whose numbers bf16 holds exactly. */
export function fixtureRow(seed: number, rows = 1): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: rows * inputs }, () => random.int(-8, 8) / 4);
}

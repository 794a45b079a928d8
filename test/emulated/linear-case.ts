import { expect } from "vitest";
import type { Allocator, KernelCall } from "../../kernels/entry.ts";
import { type LinearOp, linear } from "../../kernels/linear/linear.ts";
import type { FloatDType } from "../../src/ir/dtype.ts";
import { roundTo } from "../../src/ir/float-formats.ts";
import type { BufferId, Target } from "../../src/ir/program.ts";
import { packedIndex, weightBytes, weightLayout } from "../../src/ir/weight-layout.ts";
import { floatsOf, type KernelLab, type LabBuffer, stored } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

/** Matrices of a layer, their values rounded to what memory holds of them. */
export interface LinearCase {
  readonly xType: FloatDType;
  readonly weightType: FloatDType;
  readonly inputs: number;
  readonly outputs: readonly number[];
  /** [maxRows, inputs] */
  readonly x: Float32Array;
  readonly weights: readonly Float32Array[];
  readonly biases: readonly (Float32Array | undefined)[];
}

export function linearCase(
  xType: FloatDType,
  weightType: FloatDType,
  inputs: number,
  outputs: readonly number[],
  maxRows: number,
  bias = false,
): LinearCase {
  const random = new Random(inputs * 31 + maxRows);
  const normals = (dtype: FloatDType, count: number) =>
    random.normals(count).map((value) => roundTo(dtype, value));
  return {
    xType,
    weightType,
    inputs,
    outputs,
    x: normals(xType, maxRows * inputs),
    weights: outputs.map((count) => normals(weightType, count * inputs)),
    biases: outputs.map((count) => (bias ? normals("f32", count) : undefined)),
  };
}

/** Buffers of a case: x is 0, weights 1…, biases 11…; the epilogue's are up to the test from 20 on. */
const biasId = (i: number): BufferId => 11 + i;

export function operands(
  given: LinearCase,
  rows: number,
): Pick<LinearOp, "x" | "inputs" | "rows" | "weights" | "label"> {
  return {
    x: { buffer: 0, dtype: given.xType },
    inputs: given.inputs,
    rows,
    weights: given.outputs.map((outputs, i) => ({
      buffer: 1 + i,
      dtype: given.weightType,
      outputs,
      bias: given.biases[i] && { buffer: biasId(i), dtype: "f32" },
    })),
    label: "layer",
  };
}

/** What the tests compile for; the number of multiprocessors decides how a layer is cut. */
export function target(multiprocessors: number, capability = 80, nvrtcMajor = 11): Target {
  return {
    capability,
    arch: `sm_${capability}`,
    nvrtcMajor,
    multiprocessors,
    activations: "stored",
  };
}

/** Scratch and counters, which must be zeros again afterwards. */
class LabMemory implements Allocator {
  readonly buffers = new Map<BufferId, LabBuffer>();
  readonly counterIds: BufferId[] = [];

  scratch(bytes: number): BufferId {
    const id = 100 + this.buffers.size;
    this.buffers.set(id, { bytes });
    return id;
  }

  counters(count: number): BufferId {
    const id = 100 + this.buffers.size;
    this.buffers.set(id, new Int32Array(count));
    this.counterIds.push(id);
    return id;
  }
}

export interface LinearRun {
  readonly calls: readonly KernelCall[];
  readonly after: ReadonlyMap<BufferId, Uint8Array<ArrayBuffer>>;
}

/** Runs the layer on the first rows of x, or on those given; fails on findings and counters that stay. */
export function runLinear(
  lab: KernelLab,
  given: LinearCase,
  op: LinearOp,
  buffers: Iterable<readonly [BufferId, LabBuffer]>,
  machine = target(132),
  order: readonly number[] = Array.from({ length: op.rows }, (_, i) => i),
): LinearRun {
  const memory = new LabMemory();
  const calls = linear(op, machine, memory);
  const { inputs } = given;
  const x = new Float32Array(op.rows * inputs);
  order.forEach((from, to) => {
    x.set(given.x.subarray(from * inputs, (from + 1) * inputs), to * inputs);
  });
  const all = new Map<BufferId, LabBuffer>([[0, stored(given.xType, x)], ...memory.buffers]);
  given.weights.forEach((values, i) => {
    all.set(1 + i, laidOut(given.weightType, values, given.outputs[i] ?? 0, inputs));
    const bias = given.biases[i];
    if (bias !== undefined) all.set(biasId(i), bias);
  });
  for (const [id, buffer] of buffers) all.set(id, buffer);
  const after = lab.run(calls, all);
  expect(lab.findings()).toEqual([]);
  for (const id of memory.counterIds) {
    expect(after.get(id)?.every((byte) => byte === 0)).toBe(true);
  }
  return { calls, after };
}

function laidOut(dtype: FloatDType, values: Float32Array, outputs: number, inputs: number) {
  if (weightLayout(dtype, [outputs, inputs]) === "row-major") return values;
  const packed = new Float32Array(weightBytes(dtype, [outputs, inputs]) / 2);
  for (let n = 0; n < outputs; n++) {
    for (let k = 0; k < inputs; k++) {
      packed[packedIndex(n, k, inputs)] = values[n * inputs + k] ?? 0;
    }
  }
  return stored(dtype, packed);
}

/** In f64: x · Wᵀ of one row and output, and the sum of the products' magnitudes. */
export function dot(given: LinearCase, weight: number, row: number, output: number) {
  const { inputs, x } = given;
  const w = given.weights[weight] ?? new Float32Array();
  let sum = 0;
  let magnitude = 0;
  for (let k = 0; k < inputs; k++) {
    const product = (x[row * inputs + k] ?? 0) * (w[output * inputs + k] ?? 0);
    sum += product;
    magnitude += Math.abs(product);
  }
  return { sum, magnitude };
}

/** An epilogue that stores the values as they are: f32 [rows, outputs] for each weight, from buffer 20 on. */
export function storing(given: LinearCase): LinearOp["epilogue"] {
  return {
    kind: "elementwise",
    name: "store",
    readBytes: 0,
    writtenBytes: 0,
    statements: (entry, { row, column, values }) =>
      values
        .map((value, i) => {
          const out = entry.buffer("out", 20 + i, "float", "write");
          return `${out}[${row} * ${given.outputs[i]} + ${column}] = ${value};`;
        })
        .join("\n"),
  };
}

/** The values that `storing` stored, one array per weight. */
export function runStoring(
  lab: KernelLab,
  given: LinearCase,
  rows: number,
  machine?: Target,
  order?: readonly number[],
): Float32Array[] {
  const { after } = runLinear(
    lab,
    given,
    { ...operands(given, rows), epilogue: storing(given) },
    given.outputs.map((outputs, i) => [20 + i, { bytes: 4 * rows * outputs }]),
    machine,
    order,
  );
  return given.outputs.map((_, i) => floatsOf("f32", after.get(20 + i)));
}

import { byteSize, type FloatDType, isFloat } from "../ir/dtype.ts";
import { encodeFloats } from "../ir/float-formats.ts";
import { type Graph, sourcesOf, typeOf } from "../ir/graph.ts";
import type { SyntheticValues } from "../ir/program.ts";
import { HydrantError } from "../util/errors.ts";

export interface SyntheticTensor {
  readonly dtype: FloatDType;
  readonly shape: readonly number[];
}

/** Weights that come from no file. */
export interface SyntheticWeights {
  readonly parameters: ReadonlyMap<string, SyntheticTensor>;
  /** Fills `into` with the tensor's bytes from `offset` on (row-major, little-endian). */
  read(name: string, into: Uint8Array, offset?: number): Promise<void>;
  /** What a tensor holds, for devices that make it themselves; `read` gives the same bits. */
  synthetic(name: string): SyntheticValues;
}

/**
 * Weights for every parameter of the graphs: matrices normally distributed so that a product has
 * about the variance of its input, norms 1, biases small. They make a model of any published shape
 * for measuring, whose text means nothing. A function of the seed and the parameters' names: what
 * else is in the graphs does not matter.
 *
 * @throws HydrantError `weights/synthetic` for a parameter that is no float tensor of a fixed shape.
 */
export function syntheticWeights(graphs: readonly Graph[], seed = 0): SyntheticWeights {
  const parameters = new Map<string, SyntheticTensor>();
  for (const graph of graphs) {
    for (const { name, value } of sourcesOf(graph, "parameter")) {
      const { dtype, shape } = typeOf(graph, value);
      const extents = shape.filter((extent) => typeof extent === "number");
      if (!isFloat(dtype) || extents.length !== shape.length) {
        throw new HydrantError(
          "weights/synthetic",
          `A weight of type ${dtype}[${shape.join(", ")}] cannot be made up.`,
          { path: name, hint: "Synthetic weights are float tensors of a fixed shape." },
        );
      }
      parameters.set(name, { dtype, shape: extents });
    }
  }
  const tensorOf = (name: string): SyntheticTensor => {
    const tensor = parameters.get(name);
    if (tensor === undefined) throw new RangeError(`there is no synthetic weight ${name}`);
    return tensor;
  };
  const synthetic = (name: string): SyntheticValues =>
    valuesOf(name, tensorOf(name).shape, wordOf(`${seed}:${name}`));
  return {
    parameters,
    synthetic,
    async read(name, into, offset = 0) {
      const { dtype } = tensorOf(name);
      const size = byteSize(dtype);
      const first = Math.floor(offset / size);
      const count = Math.ceil((offset + into.length) / size) - first;
      const bytes = encodeFloats(dtype, syntheticElements(synthetic(name), first, count));
      into.set(bytes.subarray(offset - first * size, offset - first * size + into.length));
    },
  };
}

const biasScale = 0.02;

function valuesOf(name: string, shape: readonly number[], seed: number): SyntheticValues {
  // A vector is a norm's weight unless it is named a bias.
  if (shape.length === 1)
    return name.endsWith("bias")
      ? { kind: "normal", scale: biasScale, seed }
      : { kind: "constant", value: 1 };
  return { kind: "normal", scale: 1 / Math.sqrt(shape.at(-1) ?? 1), seed };
}

/**
 * Elements of a synthetic tensor from the row-major index `first` on, before they are rounded to
 * its type: bit for bit what `kernels/fill/fill.cuh` computes, where the method is explained.
 */
export function syntheticElements(
  values: SyntheticValues,
  first: number,
  count: number,
): Float32Array {
  const out = new Float32Array(count);
  switch (values.kind) {
    case "constant":
      return out.fill(values.value);
    case "normal": {
      const scale = Math.fround(values.scale);
      for (let i = 0; i < count; i++)
        out[i] = scale * Math.fround(byteSum(values.seed, first + i) * unit);
      return out;
    }
    default:
      return values satisfies never;
  }
}

/** One over the standard deviation of the sum of four bytes, as the device rounds it. */
const unit = Math.fround(1 / Math.fround(147.801));

/** The sum of the bytes of a random word, less its mean. */
function byteSum(seed: number, index: number): number {
  const word = mix((mix(index) + seed) | 0);
  const sum = (word & 0xff) + ((word >>> 8) & 0xff) + ((word >>> 16) & 0xff) + (word >>> 24);
  return sum - 510;
}

/** The finaliser of MurmurHash3. */
function mix(word: number): number {
  let x = word ^ (word >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** FNV-1a, 32 bits. */
function wordOf(text: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return state | 0;
}

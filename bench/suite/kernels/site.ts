import type { TensorData } from "../../../runtime/executor.ts";
import type { GraphBuilder, Value } from "../../../src/ir/builder.ts";
import { decodeFloats, encodeFloats } from "../../../src/ir/float-formats.ts";
import type { FloatDType } from "../../../src/ir/dtype.ts";
import { tensor } from "../../../src/ir/shape.ts";
import type { ModelConfig } from "../../../src/models/config.ts";
import { type BaseModel, projection, rmsNorm } from "../../../src/models/llama.ts";
import { prefixTree } from "../../../src/speculation/named-trees.ts";
import type { TreeTopology } from "../../../src/speculation/tree.ts";
import { syntheticElements } from "../../../src/weights/synthetic.ts";

/** Which rows of a case a graph computes, and over what. */
export interface Extent {
  /** Rows of the case. */
  readonly rows: number;
  /** The one row the graph computes, where it does not compute all: rows are independent. */
  readonly row?: number | undefined;
  /** Committed tokens before the rows. */
  readonly context: number;
  /** Slots of the caches. */
  readonly capacity: number;
  /** The graph goes through the code generator, which fuses across products and rounds activations. */
  readonly isCompiled: boolean;
}

/** A vocabulary that is enough where any tokens will do. */
export const fewTokens = 2048;

/** Inner extent of the products that stand for a case's neighbours: small beside any case. */
const neighbourWidth = 64;

/**
 * Where a case builds one copy of itself. What a case reads are states that are written before the
 * first run, so that a run moves nothing but what the case moves; what they hold is a function of
 * name and index, so that a row holds the same whichever rows are computed with it.
 */
export class Site {
  readonly b: GraphBuilder;
  readonly model: BaseModel;
  /** Sizes of the model the case is of; a check may build a smaller one, with the first outputs only. */
  readonly whole: ModelConfig;
  readonly extent: Extent;
  /** Copies have weights and caches of their own. */
  readonly copy: number;
  readonly #contents: Map<string, TensorData>;

  /** @param contents what the states hold, by name: filled here. */
  constructor(
    b: GraphBuilder,
    model: BaseModel,
    whole: ModelConfig,
    extent: Extent,
    copy: number,
    contents: Map<string, TensorData>,
  ) {
    this.b = b;
    this.model = model;
    this.whole = whole;
    this.extent = extent;
    this.copy = copy;
    this.#contents = contents;
  }

  /** Rows the graph computes. */
  get rows(): number {
    return this.extent.row === undefined ? this.extent.rows : 1;
  }

  /** Index of the first of them among the case's rows. */
  get first(): number {
    return this.extent.row ?? 0;
  }

  /** The tree with a node for every row of the case. */
  get tree(): TreeTopology {
    return prefixTree("mc_sim_7b_63", this.extent.rows - 1);
  }

  /** Name of a weight or state of this copy. */
  name(name: string): string {
    return `${this.copy}.${name}`;
  }

  /** What is timed: launches are told by the scope in their labels. */
  own<T>(build: () => T): T {
    return this.b.scope(`case.${this.copy}`, build);
  }

  /** Normally distributed f32[rows, width]: the first columns of rows that are `of` wide. */
  activations(name: string, width: number, of = width): Value {
    const data =
      width === of
        ? normals(name, this.first * of, this.rows * of)
        : firstColumns(normals(name, this.first * of, this.rows * of), width, of);
    return this.state(name, "f32", [this.rows, width], data);
  }

  state(
    name: string,
    dtype: "f32" | "i32" | "u64",
    shape: readonly number[],
    data: TensorData,
  ): Value {
    this.#contents.set(this.name(name), data);
    return this.b.state(this.name(name), tensor(dtype, ...shape));
  }

  /** One token for each row, i32[rows]. */
  tokens(): Value {
    const all = Int32Array.from({ length: this.extent.rows }, (_, i) => this.tokenOf(i));
    return this.state("tokens", "i32", [this.rows], all.slice(this.first, this.first + this.rows));
  }

  /** Some token among the first, so that a check needs no whole table. */
  tokenOf(index: number): number {
    return (
      (Math.imul(index + 1, 0x9e3779b1) >>> 8) % Math.min(this.model.config.vocabSize, fewTokens)
    );
  }

  /** Absolute positions of the rows, one after the other, i32[rows]. */
  positions(): Value {
    const from = this.extent.context + this.first;
    return this.b.constant(
      "i32",
      Array.from({ length: this.rows }, (_, i) => from + i),
    );
  }

  /** The state `length`, i32[1]. */
  length(value = this.extent.context): Value {
    return this.state("length", "i32", [1], Int32Array.of(value));
  }

  /** The mask of the tree's rows, u64[rows, 1]. */
  treeMask(): Value {
    const words = this.tree.ancestorMask().slice(this.first, this.first + this.rows);
    return this.b.constantWords(words, [this.rows, 1]);
  }

  /** A cache [capacity, groups, d] with something in every slot. */
  cache(name: string): Value {
    const { config, cacheType } = this.model;
    const { kvHeads, headDim } = config;
    const { capacity } = this.extent;
    const data = normals(name, 0, capacity * kvHeads * headDim, cacheType);
    this.#contents.set(this.name(name), data);
    return this.b.state(this.name(name), tensor(cacheType, "capacity", kvHeads, headDim));
  }

  /** The residual stream f32[rows, D], in compiled graphs as a product leaves it. */
  stream(name = "stream"): Value {
    const { hiddenSize } = this.model.config;
    const x = this.activations(name, hiddenSize);
    if (!this.extent.isCompiled) return x;
    return this.b.scope("before", () => {
      const a = this.activations("before", neighbourWidth);
      return this.b.add(x, this.linear("before", a, hiddenSize));
    });
  }

  /** The norm before a case; between two products it is part of both. */
  norm(x: Value): Value {
    return this.b.scope("before", () => rmsNorm(this.b, this.model, this.name("norm.weight"), x));
  }

  /** What follows a residual in the model: a norm and a product, which decide what is stored. */
  goOn(x: Value): void {
    if (!this.extent.isCompiled || this.extent.row !== undefined) return;
    this.b.scope("after", () => {
      const normed = rmsNorm(this.b, this.model, this.name("after.norm.weight"), x);
      this.b.output(this.name("after"), this.row(this.linear("after", normed, neighbourWidth), 0));
    });
  }

  /** A result as the product or the attention that takes it wants it. */
  handOver(x: Value, dtype: FloatDType = this.model.storedType("")): Value {
    return this.extent.isCompiled ? this.b.cast(x, dtype) : x;
  }

  /** A product without bias. */
  linear(name: string, x: Value, outputs: number): Value {
    return projection(this.b, this.model, this.name(name), x, outputs, false, name);
  }

  /** One row of a value in f32. */
  row(x: Value, index: number): Value {
    return this.b.cast(this.b.gather(x, this.b.constant("i32", [index])), "f32");
  }
}

/**
 * Elements of an endless row of normal numbers, as a type stores them. They are the same for every
 * copy: only memory must differ.
 */
export function normals(
  name: string,
  first: number,
  count: number,
  dtype: FloatDType = "f32",
): Float32Array<ArrayBufferLike> {
  const key = `${name} ${first} ${count} ${dtype}`;
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const seed = [...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 7);
  const values = syntheticElements({ kind: "normal", scale: 1, seed }, first, count);
  const stored = dtype === "f32" ? values : decodeFloats(dtype, encodeFloats(dtype, values));
  if (remembered.size >= mostRemembered) remembered.clear();
  remembered.set(key, stored);
  return stored;
}

function firstColumns(rows: Float32Array<ArrayBufferLike>, width: number, of: number) {
  const out = new Float32Array((rows.length / of) * width);
  for (let row = 0; row * width < out.length; row++)
    out.set(rows.subarray(row * of, row * of + width), row * width);
  return out;
}

/** Copies and rounds ask for the same again. */
const remembered = new Map<string, Float32Array<ArrayBufferLike>>();
const mostRemembered = 24;

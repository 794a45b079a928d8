import assert from "node:assert/strict";
import type { Executor, Tensors } from "../../../runtime/executor.ts";
import { GraphBuilder } from "../../../src/ir/builder.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { tensor } from "../../../src/ir/shape.ts";
import { type BaseModel, llama, lmHead } from "../../../src/models/llama.ts";
import { namedShape } from "../../../src/models/named-shapes.ts";
import { syntheticWeights } from "../../../src/weights/synthetic.ts";
import { compareNodeLogits } from "../../../test/conformance/lossless-checks.ts";
import { Random } from "../../../test/helpers/random.ts";
import { withExecutor } from "../executors.ts";
import type { PartContext } from "../part.ts";

/**
 * What a token's row computes does not depend on the rows beside it: the same tokens are absorbed in
 * pieces of 1 to 130 rows, through every kernel of a layer at the sizes of published models, and
 * hidden states and best logits are compared bit by bit. So are the nodes of a tree with steps of
 * one row.
 */
export async function run(part: PartContext): Promise<void> {
  const models = part.small
    ? [{ name: "a small model", model: small }]
    : ["vicuna-7b", "llama-3.1-8b", "qwen2-7b"].map((name) => ({ name, model: layersOf(name, 2) }));
  const pieces = part.small ? [1, 7, 20] : [1, 2, 7, 33, 64, 130];
  const lengths = part.small ? [0] : [0, 570];
  await withExecutor(part, "stored", async (executor) => {
    for (const { name, model } of models) {
      for (const before of lengths)
        await comparePieces(part, executor, { name, model, before, pieces });
      const random = new Random(3);
      await part.check(`${name}: nodes of a tree as steps of one row`, () =>
        compareNodeLogits(executor, model, random, {
          length: part.small ? 3 : 130,
          what: name,
          weights: syntheticWeights,
        }),
      );
    }
  });
}

const small: BaseModel = {
  config: {
    ...namedShape("demo"),
    vocabSize: 90,
    hiddenSize: 64,
    intermediateSize: 96,
    layers: 1,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
  },
  storedType: () => "bf16",
  cacheType: "bf16",
};

function layersOf(shape: string, layers: number): BaseModel {
  return {
    config: { ...namedShape(shape), layers },
    storedType: () => "bf16",
    cacheType: "bf16",
  };
}

interface Pieces {
  readonly name: string;
  readonly model: BaseModel;
  /** Tokens absorbed before, in one piece. */
  readonly before: number;
  /** Sizes of the pieces; the last is the number of tokens compared. */
  readonly pieces: readonly number[];
}

async function comparePieces(
  part: PartContext,
  executor: Executor,
  { name, model, before, pieces }: Pieces,
): Promise<void> {
  const graph = promptGraph(model);
  const count = pieces.at(-1) ?? 1;
  const random = new Random(before);
  const tokens = Int32Array.from({ length: before + count }, () =>
    random.int(0, model.config.vocabSize - 1),
  );
  const weights = await executor.load(syntheticWeights([graph]));
  const absorb = async (piece: number): Promise<Record<string, Uint8Array[]>> => {
    const session = weights.session({ capacity: before + count + 64 });
    const executable = session.compile(graph);
    const rows: Record<string, Uint8Array[]> = {};
    for (let at = 0; at < before + count; ) {
      const size = at < before ? before : Math.min(piece, before + count - at);
      session.writeState("length", Int32Array.of(at));
      const outputs = await executable.run({ tokens: tokens.slice(at, at + size) }, { rows: size });
      if (at >= before) collect(rows, outputs, size);
      at += size;
    }
    session.dispose();
    return rows;
  };
  const whole = await absorb(count);
  for (const piece of pieces.slice(0, -1)) {
    await part.check(
      `${name}: after ${before} tokens, ${count} in pieces of ${piece}`,
      async () => {
        const rows = await absorb(piece);
        for (const [output, wanted] of Object.entries(whole)) {
          const different = wanted.findIndex(
            (row, i) => Buffer.compare(row, rows[output]?.[i] ?? new Uint8Array()) !== 0,
          );
          assert.equal(different, -1, `${output} of row ${different} has other bits`);
        }
      },
    );
  }
  await weights.dispose();
}

/** Hidden states and the best logits of `rows` tokens after `length`. */
function promptGraph(model: BaseModel): Graph {
  const b = new GraphBuilder("prompt");
  const length = b.state("length", tensor("i32", 1));
  const tokens = b.input("tokens", tensor("i32", "rows"));
  const positions = b.add(b.iota("rows"), length);
  const { final } = llama(b, model, tokens, { positions, length });
  const { values, ids } = b.topk(lmHead(b, model, final), 8);
  b.output("hidden", final);
  b.output("values", values);
  b.output("ids", ids);
  return b.finish();
}

/** Appends each row's bytes to what there is of every output. */
function collect(rows: Record<string, Uint8Array[]>, outputs: Tensors, count: number): void {
  for (const [name, data] of Object.entries(outputs)) {
    const width = data.length / count;
    rows[name] ??= [];
    for (let row = 0; row < count; row++) {
      const { buffer } = data.slice(row * width, (row + 1) * width);
      rows[name].push(new Uint8Array(buffer));
    }
  }
}

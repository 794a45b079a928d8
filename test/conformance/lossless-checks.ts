import assert from "node:assert/strict";
import { Decoder } from "../../runtime/decoder.ts";
import type { Executor, LoadedWeights, ParameterSource, Tensors } from "../../runtime/executor.ts";
import { type Deferred, deferred } from "../../src/drafters/deferred.ts";
import { noDrafter } from "../../src/drafters/none.ts";
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { samplingFields } from "../../src/ir/op.ts";
import { tensor } from "../../src/ir/shape.ts";
import { buildPrefill, buildStep } from "../../src/models/decode-graphs.ts";
import { type BaseModel, llama, lmHead } from "../../src/models/llama.ts";
import type { Drafter } from "../../src/speculation/drafter.ts";
import { namedTree } from "../../src/speculation/named-trees.ts";
import { rootOnly, type TreeTopology, truncateDepth } from "../../src/speculation/tree.ts";
import { randomWeights } from "../helpers/memory-weights.ts";
import { Random } from "../helpers/random.ts";
import { type DrafterKind, drafterOf, randomModel, randomTree } from "../helpers/random-model.ts";

export const losslessSamplings = [
  { name: "greedy", temperature: 0, topP: 1 },
  { name: "temperature 0.7, top-p 0.9", temperature: 0.7, topP: 0.9 },
  {
    name: "temperature 1.2, top-k 12, min-p, repetition penalty",
    temperature: 1.2,
    topK: 12,
    topP: 0.95,
    minP: 0.02,
    repetitionPenalty: 1.2,
  },
] as const;

export interface Extent {
  /** Random models per check. */
  readonly models?: number;
  /** Tokens decoded of each. */
  readonly tokens?: number;
}

/** Speculative decoding gives the tokens of plain decoding, whatever the model, heads, tree and sampling. */
export async function checkLossless(
  executor: Executor,
  kind: DrafterKind,
  sampling: (typeof losslessSamplings)[number],
  { models = 3, tokens = 24 }: Extent = {},
): Promise<void> {
  for (let seed = 0; seed < models; seed++) {
    const random = new Random(1000 + seed);
    const model = randomModel(random);
    const drafter = drafterOf(kind, model);
    const weights = await load(executor, model, drafter, random);
    const prompt = Array.from({ length: random.int(1, 12) }, () =>
      random.int(0, model.config.vocabSize - 1),
    );
    const inputs = stepInputs(sampling, BigInt(seed));
    const plain = await decode(weights, model, noDrafter(), [rootOnly], prompt, tokens, inputs);
    const trees = [randomTree(random, 6), randomTree(random, 20), rootOnly, randomTree(random, 66)];
    const speculative = await decode(weights, model, drafter, trees, prompt, tokens, inputs);
    const later = await decode(
      weights,
      model,
      deferred(model, drafter),
      trees,
      prompt,
      tokens,
      inputs,
    );
    assert.deepEqual({ seed, later }, { seed, later: speculative });
    assert.deepEqual({ seed, tokens: speculative.tokens }, { seed, tokens: plain.tokens });
    await weights.dispose();
  }
}

/** Drafts are accepted in these checks, so that they check something. */
export async function checkDraftsAreAccepted(executor: Executor): Promise<void> {
  const random = new Random(7);
  const model = randomModel(random);
  // Four tokens in the vocabulary's top ranks cover much of the model's choice.
  const small = { ...model, config: { ...model.config, vocabSize: 6 } };
  const drafter = drafterOf("medusa-2", small);
  const weights = await load(executor, small, drafter, random);
  const result = await decode(
    weights,
    small,
    drafter,
    [randomTree(random, 40)],
    [1, 2, 3],
    32,
    stepInputs(losslessSamplings[0], 0n),
  );
  assert.ok(result.steps < 28, `${result.steps} steps for 32 tokens`);
  await weights.dispose();
}

/** A node of a 64-node step has the very logits of a one-row step. */
export async function checkNodeLogits(
  executor: Executor,
  { models = 3 }: Extent = {},
): Promise<void> {
  for (let seed = 0; seed < models; seed++) {
    const random = new Random(2000 + seed);
    await compareNodeLogits(executor, randomModel(random), random, { what: `seed ${seed}` });
  }
}

export interface NodeLogitsOptions {
  /** Tokens before the tree. */
  readonly length?: number;
  /** Of random models, what tells one from the other. */
  readonly what: string;
  /** Random ones from the host unless given. */
  readonly weights?: (graphs: readonly Graph[]) => ParameterSource;
}

/** One model's logits over the 64-node tree against those of steps of one row, bit for bit. */
export async function compareNodeLogits(
  executor: Executor,
  model: BaseModel,
  random: Random,
  {
    length = 9,
    what,
    weights: source = (graphs) => randomWeights(graphs, random),
  }: NodeLogitsOptions,
): Promise<void> {
  const { vocabSize } = model.config;
  const tree = truncateDepth(namedTree("mc_sim_7b_63"), 4);
  const weights = await executor.load(source([logitsGraph(model, tree)]));
  const prompt = Array.from({ length }, () => random.int(0, vocabSize - 1));
  const drafts = Array.from(tree.parents, () => random.int(0, vocabSize - 1));

  const session = weights.session({ capacity: length + 119 });
  // A long text goes in pieces, each a tree with one branch.
  const piece = namedTree("chain-19");
  const executables = {
    one: session.compile(logitsGraph(model, rootOnly)),
    ...(length >= piece.size && { piece: session.compile(logitsGraph(model, piece)) }),
    tree: session.compile(logitsGraph(model, tree)),
  };
  const run = async (which: keyof typeof executables, tokens: readonly number[], at: number) => {
    session.writeState("length", Int32Array.of(at));
    const outputs = await executables[which]?.run({ tokens: Int32Array.from(tokens) });
    assert.ok(outputs !== undefined, "pieces are compiled for texts that are long enough");
    return floats(outputs, "logits").slice();
  };
  let at = 0;
  for (; at + piece.size <= length; at += piece.size)
    await run("piece", prompt.slice(at, at + piece.size), at);
  for (; at < length; at++) await run("one", prompt.slice(at, at + 1), at);
  const all = await run("tree", drafts, length);
  for (const leafRow of tree.retrieveIndices.slice(0, 12)) {
    for (const [depth, node] of leafRow.filter((item) => item >= 0).entries()) {
      const alone = await run("one", [drafts[node] ?? 0], length + depth);
      const within = all.slice(node * vocabSize, (node + 1) * vocabSize);
      assert.ok(
        Buffer.from(alone.buffer).equals(Buffer.from(within.buffer)),
        `${what}, node ${node}: other bits than in a step of one row`,
      );
    }
  }
  session.dispose();
  await weights.dispose();
}

function floats(outputs: Tensors, name: string): Float32Array {
  const data = outputs[name];
  assert.ok(data instanceof Float32Array, `the graph has no f32 output ${name}`);
  return data;
}

/** One forward pass over a tree that only shows its logits. */
function logitsGraph(model: BaseModel, tree: TreeTopology) {
  const b = new GraphBuilder("logits");
  const length = b.state("length", tensor("i32", 1));
  const tokens = b.input("tokens", tensor("i32", tree.size));
  const positions = b.add(b.constant("i32", Array.from(tree.depths)), length);
  const mask = b.constantWords(tree.ancestorMask(), [tree.size, Math.ceil(tree.size / 64)]);
  b.output("logits", lmHead(b, model, llama(b, model, tokens, { positions, length, mask }).final));
  return b.finish();
}

function stepInputs(
  sampling: Partial<Record<(typeof samplingFields)[number], number>>,
  seed: bigint,
) {
  const values = { repetitionPenalty: 1, ...sampling };
  return {
    sampling: Float32Array.from(
      samplingFields,
      (field) => values[field as keyof typeof values] ?? 0,
    ),
    seed,
  };
}

function load(
  executor: Executor,
  model: BaseModel,
  drafter: Drafter,
  random: Random,
): Promise<LoadedWeights> {
  const deepest = namedTree(`chain-${Math.min(4, drafter.maxDepth)}`);
  return executor.load(
    randomWeights([buildPrefill(model, drafter), buildStep(model, drafter, deepest)], random),
  );
}

/** Decodes with the trees in turn. */
async function decode(
  weights: LoadedWeights,
  model: BaseModel,
  drafting: Drafter | Deferred,
  trees: readonly TreeTopology[],
  prompt: readonly number[],
  count: number,
  inputs: ReturnType<typeof stepInputs>,
) {
  const drafter = "catchUp" in drafting ? drafting.drafter : drafting;
  const decoder = new Decoder(
    weights.session({ capacity: model.config.maxPositions + 80 }),
    {
      prefill: buildPrefill(model, drafter),
      step: (tree) => buildStep(model, drafter, tree),
      catchUp: "catchUp" in drafting ? drafting.catchUp : undefined,
    },
    { contextLength: model.config.maxPositions, prefillRows: 5 },
  );
  await decoder.start(prompt, inputs);
  let steps = 0;
  while (decoder.tokens.length < prompt.length + count) {
    const tree = truncateDepth(trees[steps++ % trees.length] ?? rootOnly, decoder.room);
    await decoder.step(tree, inputs);
  }
  const tokens = decoder.tokens.slice(prompt.length, prompt.length + count);
  decoder.dispose();
  return { tokens, steps };
}

import { narrowActivations } from "../../../codegen/passes/narrow-activations.ts";
import { Decoder, type StepInputs } from "../../../runtime/decoder.ts";
import type { Executor, ParameterSource, Session } from "../../../runtime/executor.ts";
import { InterpreterExecutor } from "../../../runtime/interpreter-executor.ts";
import { describeSynthetic } from "../../../src/api/synthetic-model.ts";
import { weightGraphs } from "../../../src/api/weight-graphs.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { samplingFields } from "../../../src/ir/op.ts";
import { elementCount } from "../../../src/ir/shape.ts";
import { buildPrefill, buildStep } from "../../../src/models/decode-graphs.ts";
import type { BaseModel } from "../../../src/models/llama.ts";
import type { Drafter } from "../../../src/speculation/drafter.ts";
import { prefixTree } from "../../../src/speculation/named-trees.ts";
import { rootOnly, type TreeTopology, truncateDepth } from "../../../src/speculation/tree.ts";
import { syntheticWeights } from "../../../src/weights/synthetic.ts";
import type { SuiteDevice } from "../devices.ts";
import { unchecked } from "../job.ts";
import type { Check } from "../results.ts";

/** Tokens a decoder may get ahead of the longest context. */
const headroom = 96;
/** Weights beyond this the interpreter would take minutes over. */
const mostReferenceElements = 2 ** 25;
const referencePrompt = 8;
const referenceTokens = 4;

/** A model of a shape with made-up weights, ready to decode on a device. */
export interface StepModel {
  readonly device: SuiteDevice;
  readonly base: BaseModel;
  readonly drafter: Drafter;
  readonly session: Session;
  readonly decoder: Decoder;
  /** Of plain steps: tokens of a short text against the reference interpreter's. */
  readonly plainCheck: Check;
  readonly checks: boolean;
}

export interface StepSetup {
  readonly shape: string;
  readonly heads: string | undefined;
  readonly device: SuiteDevice;
  /** Tokens before the last step. */
  readonly longest: number;
  /** Prompt tokens that go through at once. */
  readonly promptRows: number;
  readonly checks: boolean;
}

export async function withStepModel(
  setup: StepSetup,
  work: (model: StepModel) => Promise<void>,
): Promise<void> {
  const { shape, heads, device, longest, promptRows, checks } = setup;
  const { base, drafter } = describeSynthetic(shape, heads, device.cacheType);
  const source = syntheticWeights(weightGraphs(base, drafter));
  const weights = await executorOf(device).load(
    // On the emulator they are made here: it would take long to fill them.
    device.kind === "emulator" ? { parameters: source.parameters, read: source.read } : source,
  );
  const contextLength = longest + headroom;
  const session = weights.session({ capacity: contextLength + 64 });
  const decoder = new Decoder(session, graphsOf(base, drafter), {
    contextLength,
    prefillRows: promptRows,
  });
  try {
    const plainCheck = checks
      ? await checkPlain(setup, { base, drafter }, source, decoder)
      : unchecked;
    await work({ device, base, drafter, session, decoder, plainCheck, checks });
  } finally {
    decoder.dispose();
    await weights.dispose();
  }
}

/** The published tree's first nodes, as deep as the heads go. */
export function treeOf({ drafter }: StepModel, rows: number): TreeTopology {
  if (rows === 1) return rootOnly;
  return truncateDepth(prefixTree("mc_sim_7b_63", rows - 1), drafter.maxDepth);
}

/** Token ids without pattern, others for every seed. */
export function promptOf({ config }: BaseModel, length: number, seed: number): number[] {
  return Array.from(
    { length },
    (_, i) => (Math.imul(i + 1, 2654435761) + Math.imul(seed, 40503)) >>> 0,
  ).map((word) => (word >>> 8) % config.vocabSize);
}

export const greedy: StepInputs = {
  sampling: Float32Array.from(samplingFields, (field) =>
    field === "topP" || field === "repetitionPenalty" ? 1 : 0,
  ),
  seed: 1n,
};

function executorOf(device: SuiteDevice): Executor {
  return device.kind === "cpu" ? device.models : device.executor;
}

function graphsOf(base: BaseModel, drafter: Drafter, change = (graph: Graph) => graph) {
  return {
    prefill: change(buildPrefill(base, drafter)),
    step: (tree: TreeTopology) => change(buildStep(base, drafter, tree)),
  };
}

async function checkPlain(
  { device, promptRows }: StepSetup,
  { base, drafter }: { readonly base: BaseModel; readonly drafter: Drafter },
  source: ParameterSource,
  decoder: Decoder,
): Promise<Check> {
  const elements = [...source.parameters.values()].reduce(
    (sum, { shape }) => sum + elementCount(shape),
    0,
  );
  if (elements > mostReferenceElements)
    return { status: "skipped", reason: "the reference would take long for this shape" };
  const reference = await new InterpreterExecutor().load(source);
  const graphs = graphsOf(base, drafter, (graph) => narrowActivations(graph, device.target));
  const oracle = new Decoder(reference.session({ capacity: 128 }), graphs, {
    contextLength: 64,
    prefillRows: promptRows,
  });
  const prompt = promptOf(base, referencePrompt, 3);
  const [actual, wanted] = [
    await continueText(decoder, prompt),
    await continueText(oracle, prompt),
  ];
  oracle.dispose();
  await reference.dispose();
  return sameTokens(actual, wanted, "reference interpreter");
}

async function continueText(decoder: Decoder, prompt: readonly number[]): Promise<number[]> {
  await decoder.start(prompt, greedy);
  while (decoder.tokens.length < prompt.length + referenceTokens)
    await decoder.step(rootOnly, greedy);
  return decoder.tokens.slice(prompt.length);
}

/** @returns failed where the first differs from the second within its length. */
export function sameTokens(
  actual: readonly number[],
  wanted: readonly number[],
  against: string,
): Check {
  const at = actual.findIndex((token, i) => i < wanted.length && token !== wanted[i]);
  const count = Math.min(actual.length, wanted.length);
  const common = { against: `${against}, ${count} tokens`, tolerance: 0 };
  if (at < 0) return { ...common, status: "passed", error: 0 };
  const message = `token ${at} is ${actual[at]}, ${wanted[at]} is expected`;
  return { ...common, status: "failed", error: 1, message };
}

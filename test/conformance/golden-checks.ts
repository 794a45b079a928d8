import assert from "node:assert/strict";
import { Decoder, type StepInputs } from "../../runtime/decoder.ts";
import type { Executor, LoadedWeights, Tensors } from "../../runtime/executor.ts";
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { argmax } from "../../src/ir/reference/sampling.ts";
import { tensor } from "../../src/ir/shape.ts";
import { type BaseModel, llama, lmHead } from "../../src/models/llama.ts";
import { noDrafter } from "../../src/drafters/none.ts";
import { samplingFields } from "../../src/ir/op.ts";
import { type AcceptanceRule, buildPrefill, buildStep } from "../../src/models/decode-graphs.ts";
import type { Drafter } from "../../src/speculation/drafter.ts";
import { rootOnly } from "../../src/speculation/tree.ts";
import { type GoldenCase, type GoldenRun, openGolden, readFloats } from "../helpers/golden.ts";

type Sampling = Partial<Record<(typeof samplingFields)[number], number>>;

const greedy: Sampling = { temperature: 0, topP: 1, repetitionPenalty: 1 };

/** A golden case with its weights on an executor. */
export interface LoadedGolden {
  readonly name: GoldenCase;
  readonly opened: Awaited<ReturnType<typeof openGolden>>;
  readonly weights: LoadedWeights;
  close(): Promise<void>;
}

export async function loadGolden(name: GoldenCase, executor: Executor): Promise<LoadedGolden> {
  const opened = await openGolden(name);
  const weights = await executor.load(opened.source);
  return {
    name,
    opened,
    weights,
    close: async () => {
      await weights.dispose();
      await opened.close();
    },
  };
}

export interface GoldenCheck {
  readonly name: string;
  /** Why it does not apply to a case. */
  readonly skip?: (golden: LoadedGolden) => string | undefined;
  /** @param runs how many of the case's runs; all by default. */
  readonly check: (golden: LoadedGolden, runs?: number) => Promise<void>;
}

/** Traces of the original implementation, replayed step by step. */
export const goldenChecks: readonly GoldenCheck[] = [
  {
    name: "drafts the golden trees and accepts the golden paths",
    check: async (golden, runs) => {
      for (const run of golden.opened.golden.runs.slice(0, runs))
        await replay(golden, run, greedy, "match");
    },
  },
  {
    name: "continues as the golden plain decoding does",
    check: async (golden, runs) => {
      for (const run of golden.opened.golden.runs.slice(0, runs)) {
        const plain = decoderOf(golden, noDrafter());
        await plain.start(run.prompt, inputsOf(greedy));
        while (plain.tokens.length < run.prompt.length + run.ar_tokens.length)
          await plain.step(rootOnly, inputsOf(greedy));
        assert.deepEqual(plain.tokens.slice(run.prompt.length), run.ar_tokens);
        plain.dispose();
      }
    },
  },
  {
    name: "computes the golden logits and hidden states of the prompt",
    check: async ({ opened: { model, golden, expected }, weights }) => {
      const [first, second] = golden.runs;
      for (const [index, run] of [first, second].entries()) {
        if (run === undefined) throw new Error("a case has two runs");
        const { hidden, logits } = await promptPass(weights, model, run.prompt);
        const last = logits.slice(-model.config.vocabSize);
        assertClose(last, await readFloats(expected, `run${index}.prompt_logits_last`));
        assert.deepEqual(rowArgmax(logits, model.config.vocabSize), run.prompt_argmax);
        if (index > 0) continue;
        assertClose(logits, await readFloats(expected, "run0.prompt_logits"));
        assertClose(hidden, await readFloats(expected, "run0.prompt_hidden"));
      }
    },
  },
  { name: "computes the golden logits of the draft heads", check: checkHeadLogits },
  {
    name: "accepts by the typical rule as the golden typical runs do",
    skip: ({ opened }) =>
      opened.golden.typical_runs === undefined ? "this case has no typical runs" : undefined,
    check: async (golden, runs) => {
      const typical = golden.opened.golden.typical_runs;
      if (typical === undefined) return;
      const sampling = {
        temperature: typical.temperature,
        posteriorThreshold: typical.posterior_threshold,
        posteriorAlpha: typical.posterior_alpha,
      };
      for (const run of typical.runs.slice(0, runs)) await replay(golden, run, sampling, "typical");
    },
  },
];

async function replay(
  golden: LoadedGolden,
  run: GoldenRun,
  sampling: Sampling,
  rule: AcceptanceRule,
): Promise<void> {
  const { drafter, tree: topology } = golden.opened;
  const speculative = decoderOf(golden, drafter, rule);
  await speculative.start(run.prompt, inputsOf(sampling));
  for (const [index, step] of run.steps.entries()) {
    const { tree, committed } = await speculative.step(topology, inputsOf(sampling));
    assert.deepEqual({ index, tree }, { index, tree: step.tree_tokens });
    assert.deepEqual({ index, committed }, { index, committed: step.appended });
  }
  assert.deepEqual(speculative.tokens.slice(run.prompt.length), run.spec_tokens);
  speculative.dispose();
}

async function checkHeadLogits(golden: LoadedGolden): Promise<void> {
  const { drafter, tree, expected, golden: recorded } = golden.opened;
  const run = recorded.runs[0];
  if (run === undefined) throw new Error("a case has two runs");
  const shown = decoderOf(golden, drafter, "match", (graph) =>
    showing(graph, /^draft\.\d\.lm_head$|^verify\.lm_head$/),
  );
  await shown.start(run.prompt, inputsOf(greedy));
  for (const step of [0, 1]) {
    const { outputs } = await shown.step(tree, inputsOf(greedy));
    const heads = [0, 1, 2, 3].map((depth) => floats(outputs, `draft.${depth}.lm_head`));
    if (golden.name === "V3-medusa") {
      const all = Float32Array.from(heads.flatMap((head) => [...head]));
      assertClose(all, await readFloats(expected, `run0.step${step}.head_logits`));
    } else {
      for (const [depth, head] of heads.entries())
        assertClose(head, await readFloats(expected, `run0.step${step}.head${depth}_logits`));
    }
    if (step === 1 && expected.tensors.has("run0.step1.tree_logits")) {
      assertClose(
        floats(outputs, "verify.lm_head"),
        await readFloats(expected, "run0.step1.tree_logits"),
      );
    }
  }
  shown.dispose();
}

function decoderOf(
  { opened: { model, tree: widest }, weights }: LoadedGolden,
  drafter: Drafter,
  rule: AcceptanceRule = "match",
  change = (graph: Graph): Graph => graph,
): Decoder {
  return new Decoder(
    weights.session({ capacity: model.config.maxPositions + widest.size }),
    {
      prefill: buildPrefill(model, drafter),
      step: (tree) => change(buildStep(model, drafter, tree, rule)),
    },
    { contextLength: model.config.maxPositions, prefillRows: 64 },
  );
}

function inputsOf(sampling: Sampling): StepInputs {
  return {
    sampling: Float32Array.from(samplingFields, (field) => sampling[field] ?? 0),
    seed: 0n,
  };
}

/** The graph with the results of labelled nodes as further outputs. */
function showing(graph: Graph, labels: RegExp): Graph {
  const outputs = graph.nodes
    .filter(({ label }) => label !== undefined && labels.test(label))
    .map(({ label, results }) => ({ name: label ?? "", value: results[0] ?? 0 }));
  return { ...graph, outputs: [...graph.outputs, ...outputs] };
}

async function promptPass(weights: LoadedWeights, model: BaseModel, prompt: readonly number[]) {
  const b = new GraphBuilder("prompt");
  const length = b.state("length", tensor("i32", 1));
  const tokens = b.input("tokens", tensor("i32", "rows"));
  const { final } = llama(b, model, tokens, { positions: b.add(b.iota("rows"), length), length });
  b.output("hidden", final);
  b.output("logits", lmHead(b, model, final));
  const session = weights.session({ capacity: 64 });
  const outputs = await session
    .compile(b.finish())
    .run({ tokens: Int32Array.from(prompt) }, { rows: prompt.length });
  const copy = (name: string) => floats(outputs, name).slice();
  const result = { hidden: copy("hidden"), logits: copy("logits") };
  session.dispose();
  return result;
}

function floats(outputs: Tensors, name: string): Float32Array {
  const data = outputs[name];
  assert.ok(data instanceof Float32Array, `the graph has no f32 output ${name}`);
  return data;
}

/** Within 1e-3 of the largest magnitude; the vectors are f32 results of another implementation. */
function assertClose(actual: Float32Array, expected: Float32Array): void {
  assert.equal(actual.length, expected.length);
  const scale = expected.reduce((largest, item) => Math.max(largest, Math.abs(item)), 0);
  const worst = expected.reduce((largest, item, i) => {
    const difference = Math.abs(item - (actual[i] ?? Number.NaN));
    return difference <= largest ? largest : difference; // NaN is worse than any number.
  }, 0);
  assert.ok(worst / scale < 1e-3, `the largest difference is ${worst} of ${scale}`);
}

function rowArgmax(logits: Float32Array, width: number): number[] {
  return Array.from({ length: logits.length / width }, (_, row) =>
    argmax(logits.subarray(row * width, (row + 1) * width)),
  );
}

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Decoder } from "../../runtime/decoder.ts";
import type { Executor, LoadedWeights } from "../../runtime/executor.ts";
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { argmax } from "../../src/ir/reference/sampling.ts";
import { tensor } from "../../src/ir/shape.ts";
import { type BaseModel, llama, lmHead } from "../../src/models/llama.ts";
import { noDrafter } from "../../src/drafters/none.ts";
import { samplingFields } from "../../src/ir/op.ts";
import { type AcceptanceRule, buildPrefill, buildStep } from "../../src/models/decode-graphs.ts";
import { rootOnly } from "../../src/speculation/tree.ts";
import { type GoldenRun, goldenCases, openGolden, readFloats } from "../helpers/golden.ts";

type Sampling = Partial<Record<(typeof samplingFields)[number], number>>;

const greedy: Sampling = { temperature: 0, topP: 1, repetitionPenalty: 1 };

/** Traces of the original implementation, replayed step by step on an executor. */
export function goldenTraces(makeExecutor: () => Executor, options: { runs?: number } = {}): void {
  describe.each(goldenCases)("golden case %s", (name) => {
    let opened: Awaited<ReturnType<typeof openGolden>>;
    let executor: Executor;
    let weights: LoadedWeights;

    beforeAll(async () => {
      opened = await openGolden(name);
      executor = makeExecutor();
      weights = await executor.load(opened.source);
    });
    afterAll(async () => {
      await weights.dispose();
      await executor.dispose();
      await opened.close();
    });

    const decoder = (speculative: boolean, rule: AcceptanceRule = "match") => {
      const drafter = speculative ? opened.drafter : noDrafter();
      const { model } = opened;
      return new Decoder(
        weights.session({ capacity: model.config.maxPositions + opened.tree.size }),
        {
          prefill: buildPrefill(model, drafter),
          step: (tree) => buildStep(model, drafter, tree, rule),
        },
        { contextLength: model.config.maxPositions, prefillRows: 64 },
      );
    };
    const inputs = (sampling: Sampling) => ({
      sampling: Float32Array.from(samplingFields, (field) => sampling[field] ?? 0),
      seed: 0n,
    });

    const replay = async (run: GoldenRun, sampling: Sampling, rule: AcceptanceRule) => {
      const speculative = decoder(true, rule);
      await speculative.start(run.prompt, inputs(sampling));
      for (const [index, step] of run.steps.entries()) {
        const { tree, committed } = await speculative.step(opened.tree, inputs(sampling));
        expect({ index, tree }).toEqual({ index, tree: step.tree_tokens });
        expect({ index, committed }).toEqual({ index, committed: step.appended });
      }
      expect(speculative.tokens.slice(run.prompt.length)).toEqual(run.spec_tokens);
      speculative.dispose();
    };

    it("drafts the golden trees and accepts the golden paths", async () => {
      for (const run of opened.golden.runs.slice(0, options.runs))
        await replay(run, greedy, "match");
    });

    it("continues as the golden plain decoding does", async () => {
      for (const run of opened.golden.runs.slice(0, options.runs)) {
        const plain = decoder(false);
        await plain.start(run.prompt, inputs(greedy));
        while (plain.tokens.length < run.prompt.length + run.ar_tokens.length)
          await plain.step(rootOnly, inputs(greedy));
        expect(plain.tokens.slice(run.prompt.length)).toEqual(run.ar_tokens);
        plain.dispose();
      }
    });

    it("computes the golden logits and hidden states of the prompt", async () => {
      const { model, golden, expected } = opened;
      const [first, second] = golden.runs;
      for (const [index, run] of [first, second].entries()) {
        if (run === undefined) throw new Error("a case has two runs");
        const { hidden, logits } = await promptPass(weights, model, run.prompt);
        const last = logits.slice(-model.config.vocabSize);
        expectClose(last, await readFloats(expected, `run${index}.prompt_logits_last`));
        expect(rowArgmax(logits, model.config.vocabSize)).toEqual(run.prompt_argmax);
        if (index > 0) continue;
        expectClose(logits, await readFloats(expected, "run0.prompt_logits"));
        expectClose(hidden, await readFloats(expected, "run0.prompt_hidden"));
      }
    });

    it("computes the golden logits of the draft heads", async () => {
      const { model, drafter, tree, expected, golden } = opened;
      const run = golden.runs[0];
      if (run === undefined) throw new Error("a case has two runs");
      const shown = new Decoder(
        weights.session({ capacity: model.config.maxPositions + tree.size }),
        {
          prefill: buildPrefill(model, drafter),
          step: (over) =>
            showing(buildStep(model, drafter, over), /^draft\.\d\.lm_head$|^verify\.lm_head$/),
        },
        { contextLength: model.config.maxPositions, prefillRows: 64 },
      );
      await shown.start(run.prompt, inputs(greedy));
      for (const step of [0, 1]) {
        const { outputs: extra } = await shown.step(tree, inputs(greedy));
        const heads = [0, 1, 2, 3].map((depth) => extra[`draft.${depth}.lm_head`] as Float32Array);
        if (name === "V3-medusa") {
          const all = Float32Array.from(heads.flatMap((head) => [...head]));
          expectClose(all, await readFloats(expected, `run0.step${step}.head_logits`));
        } else {
          for (const [depth, head] of heads.entries()) {
            expectClose(head, await readFloats(expected, `run0.step${step}.head${depth}_logits`));
          }
        }
        if (step === 1 && expected.tensors.has("run0.step1.tree_logits")) {
          expectClose(
            extra["verify.lm_head"] as Float32Array,
            await readFloats(expected, "run0.step1.tree_logits"),
          );
        }
      }
      shown.dispose();
    });

    it("accepts by the typical rule as the golden typical runs do", async (context) => {
      const typical = opened.golden.typical_runs;
      if (typical === undefined) return context.skip("this case has no typical runs");
      const sampling = {
        temperature: typical.temperature,
        posteriorThreshold: typical.posterior_threshold,
        posteriorAlpha: typical.posterior_alpha,
      };
      for (const run of typical.runs.slice(0, options.runs)) await replay(run, sampling, "typical");
    });
  });
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
  const copy = (name: string) => (outputs[name] as Float32Array).slice();
  const result = { hidden: copy("hidden"), logits: copy("logits") };
  session.dispose();
  return result;
}

/** Within 1e-3 of the largest magnitude; the vectors are f32 results of another implementation. */
function expectClose(actual: Float32Array, expected: Float32Array): void {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((largest, item) => Math.max(largest, Math.abs(item)), 0);
  const worst = expected.reduce(
    (largest, item, i) => Math.max(largest, Math.abs(item - (actual[i] ?? Number.NaN))),
    0,
  );
  expect(worst / scale).toBeLessThan(1e-3);
}

function rowArgmax(logits: Float32Array, width: number): number[] {
  return Array.from({ length: logits.length / width }, (_, row) =>
    argmax(logits.subarray(row * width, (row + 1) * width)),
  );
}

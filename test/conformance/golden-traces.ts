import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Decoder } from "../../runtime/decoder.ts";
import type { Executor, LoadedWeights } from "../../runtime/executor.ts";
import { noDrafter } from "../../src/drafters/none.ts";
import { samplingFields } from "../../src/ir/op.ts";
import { type AcceptanceRule, buildPrefill, buildStep } from "../../src/models/decode-graphs.ts";
import { rootOnly } from "../../src/speculation/tree.ts";
import { type GoldenRun, goldenCases, openGolden } from "../helpers/golden.ts";

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

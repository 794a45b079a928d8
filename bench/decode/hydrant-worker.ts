import type { Model } from "../../src/index.ts";
import {
  type Engine,
  type GenerateWork,
  type Run,
  type StepsWork,
  runPrompts,
  serve,
} from "./protocol.ts";
import { runOf } from "./run-of.ts";

export interface HydrantConfiguration {
  readonly model: string;
  readonly heads?: string | undefined;
  readonly device: string;
  /** Undefined: the executor's own choice. */
  readonly threads?: number | undefined;
  /** `heads` stands for the method of the loaded heads. */
  readonly method: "autoregressive" | "auto" | "heads";
  readonly tree?: string | undefined;
}

serve(async (json) => {
  const configuration = json as HydrantConfiguration;
  const { model: dir, heads, device, threads } = configuration;
  // Here and not above, so that our own code counts as ours in the memory figures.
  const { loadModel } = await import("../../src/index.ts");
  const model = await loadModel(dir, { heads, device, threads });
  const method = configuration.method === "heads" ? model.method : configuration.method;
  const engine: Engine = {
    about: {
      engine: "hydrant",
      details: `${model.device}, ${(model.weightBytes / 1e6).toFixed(1)} MB of weights`,
    },
    generate: (work) => generate(model, work, method, configuration.tree),
    timeSteps: (work) => timeSteps(model, work),
    dispose: () => model.dispose(),
  };
  return engine;
});

async function generate(
  model: Model,
  work: GenerateWork,
  method: string,
  tree: string | undefined,
): Promise<Run[]> {
  return runPrompts(work, async (prompt) => {
    const { tokens, stats } = await model.generate({
      tokens: prompt,
      maxNewTokens: work.newTokens,
      ignoreEos: true,
      method,
      tree,
    });
    return runOf(tokens, stats);
  });
}

/** Times single steps as a caller of `stream` sees them: from one chunk to the next. */
async function timeSteps(model: Model, { prompt, trees, steps }: StepsWork): Promise<number[][]> {
  const samples: number[][] = [];
  for (const tree of trees) {
    const stream = model.stream({
      tokens: prompt,
      // Every step commits at least one token.
      maxNewTokens: (steps + 1) * 8,
      ignoreEos: true,
      ...(tree.length === 0 ? { method: "autoregressive" } : { method: model.method, tree }),
    });
    const times: number[] = [];
    let last: number | undefined;
    for await (const _chunk of stream) {
      const now = performance.now();
      // The first chunk also holds the prompt and, the first time, the compilation.
      if (last !== undefined) times.push(now - last);
      if (times.length === steps) break;
      last = performance.now();
    }
    samples.push(times);
  }
  return samples;
}

import type { GenerationStats } from "../../src/index.ts";
import type { Run } from "./protocol.ts";

/** A run of ours, but for its place among the prompts. */
export function runOf(tokens: readonly number[], stats: GenerationStats): Omit<Run, "prompt"> {
  return {
    tokens,
    promptMs: stats.prefillMs,
    tokensPerSecond: stats.tokensPerSecond,
    steps: stats.steps,
    stepMs: stats.decodeMs / stats.steps,
    tokensPerStep: stats.tokensPerStep,
  };
}

import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { type GenerateWork, type Run, runPrompts, serve } from "../../decode/protocol.ts";
import type { LlamaContext, LlamaModel, NodeLlamaCpp, SamplerClass } from "./bindings.ts";

export interface LlamaCppConfiguration {
  /** Entry point of the installed node-llama-cpp. */
  readonly entry: string;
  /** GGUF file. */
  readonly model: string;
  readonly threads: number;
  readonly contextSize: number;
  /**
   * `package`: `LlamaContextSequence.evaluate`, what a Node program would use. `native`: the same
   * calls into llama.cpp from a bare loop, without the package's queue and bookkeeping: what
   * llama.cpp itself can do.
   */
  readonly loop: "package" | "native";
}

/** Threads that wait for each other on a busy machine can take seconds per token: see `deadline`. */
type Continue = (
  prompt: readonly number[],
  newTokens: number,
  deadline: number,
) => Promise<Continuation>;

/** Even after the deadline: a rate needs some tokens. */
const leastTokens = 8;

interface Continuation {
  readonly tokens: number[];
  /** When the call began, the first token was known, and the last one. */
  readonly times: readonly [begin: number, first: number, last: number];
}

serve(async (json) => {
  const configuration = json as LlamaCppConfiguration;
  const { entry, threads, contextSize } = configuration;
  const { getLlama } = (await import(pathToFileURL(entry).href)) as NodeLlamaCpp;
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    logLevel: "error",
    maxThreads: 0,
  });
  const model = await llama.loadModel({ modelPath: configuration.model });
  const context = await model.createContext({
    contextSize,
    // Measured: the fastest of both, with its f16 cache.
    flashAttention: true,
    threads: { ideal: threads, min: threads },
  });
  const native = configuration.loop === "native";
  const next = native ? await nativeLoop(context, model, entry) : packageLoop(context);
  const { repo, release } = llama.llamaCppRelease;
  return {
    about: { engine: `${repo} ${release}`, details: llama.systemInfo },
    generate: (work) => generate(next, work),
    dispose: async () => {
      await context.dispose();
      await model.dispose();
    },
  };
});

async function generate(next: Continue, work: GenerateWork): Promise<Run[]> {
  return runPrompts(work, async (prompt, deadline) => {
    const { tokens, times } = await next(prompt, work.newTokens, deadline);
    const decodeMs = times[2] - times[1];
    const steps = tokens.length - 1;
    return {
      tokens,
      cut: tokens.length < work.newTokens,
      promptMs: times[1] - times[0],
      tokensPerSecond: (1000 * steps) / decodeMs,
      steps,
      stepMs: decodeMs / steps,
      tokensPerStep: 1,
    };
  });
}

function packageLoop(context: LlamaContext): Continue {
  const sequence = context.getSequence();
  // Otherwise it ends at the first end token.
  const options = { temperature: 0, yieldEogToken: true };
  return async (prompt, newTokens, deadline) => {
    await sequence.clearHistory();
    const tokens: number[] = [];
    const begin = performance.now();
    let first = begin;
    let last = begin;
    for await (const token of sequence.evaluate(prompt, options)) {
      tokens.push(token);
      last = performance.now();
      if (tokens.length === 1) first = last;
      if (tokens.length === newTokens) break;
      if (last > deadline && tokens.length >= leastTokens) break;
    }
    return { tokens, times: [begin, first, last] };
  };
}

async function nativeLoop(
  context: LlamaContext,
  model: LlamaModel,
  entry: string,
): Promise<Continue> {
  const samplerFile = join(dirname(entry), "evaluator", "LlamaContext", "LlamaSampler.js");
  const { LlamaSampler } = (await import(pathToFileURL(samplerFile).href)) as {
    LlamaSampler: SamplerClass;
  };
  const sampler = new LlamaSampler(model);
  sampler.applyConfig({ temperature: 0 });
  const { _ctx: native } = context;
  const decode = async (from: number, tokens: readonly number[]): Promise<number> => {
    native.initBatch(tokens.length);
    const wanted = Uint32Array.of(tokens.length - 1);
    const rows = native.addToBatch(0, from, Uint32Array.from(tokens), wanted);
    await native.decodeBatch();
    return native.sampleToken(rows[0] ?? 0, sampler._sampler);
  };
  return async (prompt, newTokens, deadline) => {
    native.removeTokenCellsFromSequence(0, 0, -1);
    const begin = performance.now();
    let token = await decode(0, prompt);
    const first = performance.now();
    const tokens = [token];
    let last = first;
    while (tokens.length < newTokens && (last < deadline || tokens.length < leastTokens)) {
      token = await decode(prompt.length + tokens.length - 1, [token]);
      tokens.push(token);
      last = performance.now();
    }
    return { tokens, times: [begin, first, last] };
  };
}

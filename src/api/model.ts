import { type DecodeStart, decode } from "../../runtime/decode-loop.ts";
import type { Executor, LoadedWeights } from "../../runtime/executor.ts";
import type { RecordedGeneration } from "../inspection/recorded-generation.ts";
import { samplingFields } from "../ir/op.ts";
import type { BaseModel } from "../models/llama.ts";
import type { Acceptance } from "../speculation/acceptance.ts";
import { type AutoPolicy, autoPolicy } from "../speculation/auto-policy.ts";
import type { Drafter } from "../speculation/drafter.ts";
import { StepCosts } from "../speculation/step-costs.ts";
import type { TreePolicy } from "../speculation/tree-policy.ts";
import type { ChatTemplate } from "../text/chat-template.ts";
import { StopStringMatcher } from "../text/stop-strings.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { HydrantError } from "../util/errors.ts";
import { autoCandidates, chooseTree } from "./choose-tree.ts";
import { DecoderPool, usualTreeNodes } from "./decoder-pool.ts";
import type { FinishReason, GenerationStats } from "./generation-stats.ts";
import { measureSteps } from "./measure-steps.ts";
import { RankMeter, type RankMeterOptions } from "./rank-meter.ts";
import { GenerationRecorder } from "./record-generation.ts";
import { checkRequest, type GenerateRequest } from "./request.ts";
import { TextAssembly } from "./text-assembly.ts";

/** One step's worth of a generation. */
export interface GenerateChunk {
  /** Text that is final: whole characters, and no possible beginning of a stop string. */
  readonly text: string;
  /** New tokens, cut where the text ends. */
  readonly tokens: readonly number[];
  /** What each token added to `text`; a character or a stop string may be held back for a later one. */
  readonly pieces: readonly string[];
  /** What the step drafted and committed, not cut: tokens of the tree and of the accepted path, root first. */
  readonly tree: readonly number[];
  readonly accepted: readonly number[];
  /** Set on the last chunk. */
  readonly finishReason?: FinishReason | undefined;
  readonly stats?: GenerationStats | undefined;
  /** With the last chunk of a request that asked to `record`. */
  readonly recording?: RecordedGeneration | undefined;
}

/** A whole generation: the chunks of `stream` put together. */
export interface GenerateResult {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly finishReason: FinishReason;
  readonly stats: GenerationStats;
  /** Of a request that asked to `record`. */
  readonly recording?: RecordedGeneration | undefined;
}

/** What `loadModel` puts together. */
export interface ModelParts {
  /** Folder, hub id or shape of the model, as it was asked for. */
  readonly name: string;
  /** The same of the draft heads. */
  readonly headsName: string | undefined;
  readonly base: BaseModel;
  readonly drafter: Drafter;
  readonly executor: Executor;
  readonly weights: LoadedWeights;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
  readonly contextLength: number;
  /** Prompt tokens absorbed at a time: an abort waits for no more than this. */
  readonly prefillRows: number;
}

/**
 * A loaded model with its draft heads. Calls may overlap: each running generation has caches of its
 * own, and the next call takes over those of the finished one whose text it continues.
 */
export class Model implements AsyncDisposable {
  readonly #parts: ModelParts;
  readonly #costs = new StepCosts();
  #measured: Promise<void> | undefined;
  #lastAuto: AutoPolicy | undefined;
  readonly #decoders: DecoderPool;
  #disposed = false;

  /** @internal Made by `loadModel`. */
  constructor(parts: ModelParts) {
    this.#parts = parts;
    this.#decoders = new DecoderPool(parts);
  }

  /** Where it runs: `cpu`, `cuda:0`. */
  get device(): string {
    return this.#parts.executor.device;
  }

  /** Draft method of the loaded heads; `autoregressive` without. */
  get method(): string {
    return this.#parts.drafter.name;
  }

  /** How many tokens ahead of a root the heads can guess; 0 without heads, infinite for recurrent ones. */
  get draftDepth(): number {
    return this.#parts.drafter.maxDepth;
  }

  /** Most tokens a prompt and its continuation may have together. */
  get contextLength(): number {
    return this.#parts.contextLength;
  }

  /** Bytes of weights on the device. */
  get weightBytes(): number {
    return this.#parts.weights.byteLength;
  }

  /** The model's tokenizer. @throws HydrantError when its folder has none. */
  get tokenizer(): Tokenizer {
    const { tokenizer } = this.#parts;
    if (tokenizer === undefined) {
      throw new HydrantError("generate/no-tokenizer", "The model's folder has no tokenizer.", {
        hint: "Give the prompt as token ids, or add tokenizer.json or tokenizer.model.",
      });
    }
    return tokenizer;
  }

  /**
   * Token ids of a request's prompt, as the model will see them.
   * @throws HydrantError for an empty prompt, ids outside the vocabulary, or a missing tokenizer.
   */
  promptTokens(request: GenerateRequest): number[] {
    const tokens = "prompt" in request && request.prompt === "" ? [] : this.#encode(request);
    const { vocabSize } = this.#parts.base.config;
    const outside = tokens.find(
      (token) => !Number.isInteger(token) || token < 0 || token >= vocabSize,
    );
    if (outside !== undefined) {
      throw new HydrantError(
        "generate/token-range",
        `Prompt token ${outside} is not between 0 and ${vocabSize - 1}.`,
      );
    }
    if (tokens.length === 0) {
      throw new HydrantError("generate/empty-prompt", "The prompt is empty.", {
        hint: "Give it some text or tokens.",
      });
    }
    return tokens;
  }

  /**
   * Generates step by step. The chunks' texts concatenated are the result's text.
   * @throws HydrantError for a bad request; the signal's reason when aborted.
   */
  async *stream(request: GenerateRequest): AsyncGenerator<GenerateChunk, void, void> {
    this.#checkAlive();
    const checked = checkRequest(request);
    const { base, drafter, tokenizer } = this.#parts;
    if (checked.stops.length > 0) this.tokenizer;
    const choice = chooseTree(drafter, base.config.vocabSize, request);
    const prompt = this.promptTokens(request);
    const inputs = { sampling: samplingVector(checked.acceptance), seed: checked.seed };
    request.signal?.throwIfAborted();
    const policy = choice === "auto" ? await this.#autoPolicy(request.signal) : choice;
    const text = new TextAssembly(
      tokenizer,
      checked.stops.length > 0 ? new StopStringMatcher([...checked.stops]) : undefined,
      // A reply is a text of its own; a continuation keeps the space it begins with.
      !("messages" in request),
    );

    const recorder = request.record === true ? new GenerationRecorder(tokenizer) : undefined;

    const treeNodes = Math.max(...policy.trees.map((tree) => tree.size));
    const pooled = this.#decoders.take({
      rule: checked.acceptance.rule === "typical" ? "typical" : "match",
      drafting: treeNodes === 1 ? "never" : choice === "auto" ? "sometimes" : "always",
      treeNodes,
    });
    let failed = false;
    try {
      // Compiling belongs to no step's time.
      await pooled.decoder.prepare(prompt.length, policy.trees);
    } catch (error) {
      this.#decoders.giveBack(pooled, false);
      this.#checkAlive();
      throw error;
    }
    const begin = performance.now();
    let start: DecodeStart = { reusedTokens: 0, prefillMs: 0 };
    const steps = decode(
      pooled.decoder,
      {
        ...inputs,
        prompt,
        policy: recorder?.watch(policy) ?? policy,
        maxNewTokens: checked.maxNewTokens,
        eosTokenIds: new Set(
          request.ignoreEos ? [] : [...base.config.eosTokenIds, ...this.#turnEnds(request)],
        ),
        signal: request.signal,
      },
      (started) => {
        start = { ...started, prefillMs: performance.now() - begin };
      },
    );
    let stepCount = 0;
    let newTokens = 0;
    let committed = 0;
    try {
      for await (const { tokens, outcome, finish } of steps) {
        if (outcome.tree.length > 0) stepCount++;
        committed += outcome.committed.length;
        const { pieces, stopped } = text.push(tokens);
        newTokens += pieces.length;
        recorder?.step(outcome.tree, outcome.path, pieces);
        const tail = !stopped && finish !== undefined ? text.flush() : { text: "", stopped: false };
        const finishReason = stopped || tail.stopped ? "stop" : finish;
        const chunk = {
          text: pieces.join("") + tail.text,
          tokens: tokens.slice(0, pieces.length),
          pieces,
          tree: outcome.tree,
          accepted: outcome.committed,
        };
        if (finishReason === undefined) {
          yield chunk;
          continue;
        }
        const decodeMs = performance.now() - begin - start.prefillMs;
        const stats: GenerationStats = {
          steps: stepCount,
          newTokens,
          tokensPerStep: stepCount === 0 ? 0 : committed / stepCount,
          reusedTokens: start.reusedTokens,
          prefillMs: start.prefillMs,
          decodeMs,
          tokensPerSecond: decodeMs > 0 ? (1000 * newTokens) / decodeMs : 0,
          device: this.device,
          method:
            policy.trees.length === 1 && policy.trees[0]?.size === 1
              ? "autoregressive"
              : drafter.name,
          seed: String(checked.seed),
        };
        const recording = recorder?.finish(
          {
            model: this.#parts.name,
            heads: this.#parts.headsName,
            request,
            checked,
            promptTokens: prompt,
            finishReason,
            stats,
          },
          tail.text,
        );
        yield { ...chunk, finishReason, stats, ...(recording && { recording }) };
        return;
      }
    } catch (error) {
      // After an abort the caches are whole; after a failure nobody knows.
      if (request.signal?.aborted !== true) {
        failed = true;
        // Of a model disposed meanwhile, what happened to fail first says nothing.
        this.#checkAlive();
      }
      throw error;
    } finally {
      this.#decoders.giveBack(pooled, !failed);
    }
  }

  /** Generates to the end. See `stream`. */
  async generate(request: GenerateRequest): Promise<GenerateResult> {
    let text = "";
    const tokens: number[] = [];
    for await (const chunk of this.stream(request)) {
      text += chunk.text;
      tokens.push(...chunk.tokens);
      if (chunk.finishReason !== undefined && chunk.stats !== undefined) {
        const { finishReason, stats, recording } = chunk;
        return { text, tokens, finishReason, stats, ...(recording && { recording }) };
      }
    }
    throw new Error("internal error: the stream ended without a finish reason");
  }

  /**
   * Measures the loaded heads on texts that are known, with caches of its own; to be disposed by the
   * caller, before the model.
   * @throws HydrantError `ranks/no-heads`, `ranks/options`
   */
  rankMeter(options: RankMeterOptions = {}): RankMeter {
    this.#checkAlive();
    return new RankMeter(this.#parts, options);
  }

  /** Frees the weights, caches and threads. Running generations fail. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#decoders.dispose();
    await this.#parts.weights.dispose();
    await this.#parts.executor.dispose();
  }

  /** `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #encode(request: GenerateRequest): number[] {
    if ("tokens" in request) return [...request.tokens];
    const { tokenizer } = this;
    if ("prompt" in request) return tokenizer.encode(request.prompt, { bos: tokenizer.addsBos });
    const { chatTemplate } = this.#parts;
    if (chatTemplate === undefined)
      throw new HydrantError("generate/no-chat-template", "The model has no chat template.");
    return chatTemplate.encode(tokenizer, request.messages, { addGenerationPrompt: true });
  }

  /** Tokens that end an assistant's turn in the model's chat format. */
  #turnEnds(request: GenerateRequest): number[] {
    if (!("messages" in request)) return [];
    const { tokenizer, chatTemplate } = this.#parts;
    return (chatTemplate?.stopTokens ?? []).flatMap((token) => tokenizer?.tokenToId(token) ?? []);
  }

  /**
   * Costs are measured once per model; what was learnt of acceptance carries over to the next text.
   * An abort ends the waiting, not the measuring, which other calls may wait for.
   */
  async #autoPolicy(signal: AbortSignal | undefined): Promise<TreePolicy> {
    const candidates = autoCandidates(this.#parts.drafter);
    this.#measured ??= (async () => {
      const decoder = this.#decoders.create({
        rule: "match",
        drafting: "sometimes",
        treeNodes: usualTreeNodes,
      });
      try {
        const sampling = Float32Array.from(samplingFields, (field) =>
          field === "topP" || field === "repetitionPenalty" ? 1 : 0,
        );
        await measureSteps(decoder, candidates, this.#costs, { sampling, seed: 0n });
      } finally {
        decoder.dispose();
      }
    })();
    try {
      await unlessAborted(this.#measured, signal);
    } catch (error) {
      this.#checkAlive();
      throw error;
    }
    const policy = autoPolicy({
      candidates,
      costs: this.#costs,
      ...(this.#lastAuto && { prior: this.#lastAuto.acceptance }),
    });
    this.#lastAuto = policy;
    return policy;
  }

  #checkAlive(): void {
    if (this.#disposed)
      throw new HydrantError("generate/disposed", "The model was disposed.", {
        hint: "Load it again.",
      });
  }
}

/** The promise's outcome, or the signal's reason should that come first. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function samplingVector(acceptance: Acceptance): Float32Array {
  const { posteriorThreshold, posteriorAlpha } =
    acceptance.rule === "typical" ? acceptance : { posteriorThreshold: 0, posteriorAlpha: 0 };
  const values = { ...acceptance.sampling, posteriorThreshold, posteriorAlpha };
  return Float32Array.from(samplingFields, (field) => values[field]);
}

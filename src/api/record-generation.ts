import type { RecordedGeneration, RecordedStep } from "../inspection/recorded-generation.ts";
import type { TreePolicy } from "../speculation/tree-policy.ts";
import type { TreeTopology } from "../speculation/tree.ts";
import { inspectedTree } from "./inspected-tree.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { packageVersion } from "../util/package-version.ts";
import type { FinishReason, GenerationStats } from "./generation-stats.ts";
import type { CheckedRequest, GenerateRequest } from "./request.ts";

/** What a recording says of the whole generation, known at its end. */
export interface RecordingSummary {
  readonly model: string;
  readonly heads: string | undefined;
  readonly request: GenerateRequest;
  readonly checked: CheckedRequest;
  readonly promptTokens: readonly number[];
  readonly finishReason: FinishReason;
  readonly stats: GenerationStats;
}

/**
 * Keeps what the steps of one generation drafted, committed and took. It only holds on to what each
 * step gives out anyway; texts are looked up at the end, so that recording costs the steps nothing.
 */
export class GenerationRecorder {
  readonly #tokenizer: Tokenizer | undefined;
  readonly #trees = new Map<string, { readonly index: number; readonly tree: TreeTopology }>();
  readonly #steps: RecordedStep[] = [];
  #treeOfStep = 0;
  #msOfStep = 0;

  constructor(tokenizer: Tokenizer | undefined) {
    this.#tokenizer = tokenizer;
  }

  /** The same policy; it learns of every step's tree and time, cut to the context as they were played. */
  watch(policy: TreePolicy): TreePolicy {
    return {
      trees: policy.trees,
      next: (context) => policy.next(context),
      observe: (result) => {
        const { tree, ms } = result;
        const known = this.#trees.get(tree.key) ?? { index: this.#trees.size, tree };
        this.#trees.set(tree.key, known);
        this.#treeOfStep = known.index;
        this.#msOfStep = ms;
        policy.observe(result);
      },
    };
  }

  /**
   * A step, after the policy observed it.
   * @param tokens token of every node; empty for the end of the context, which is no step.
   * @param path committed nodes, root first.
   * @param pieces what each token given out added to the text.
   */
  step(tokens: readonly number[], path: readonly number[], pieces: readonly string[]): void {
    if (tokens.length === 0) return;
    this.#steps.push({
      tree: this.#treeOfStep,
      tokens,
      path,
      given: pieces.length,
      ...(this.#tokenizer && { pieces }),
      ms: this.#msOfStep,
    });
  }

  /** @param tail text held back to the end: the last token's. */
  finish(summary: RecordingSummary, tail: string): RecordedGeneration {
    const { request, checked, promptTokens, stats } = summary;
    const prompt = "prompt" in request ? request.prompt : this.#tokenizer?.decode(promptTokens);
    return {
      version: packageVersion(),
      made: new Date().toISOString(),
      model: summary.model,
      heads: summary.heads,
      method: stats.method,
      device: stats.device,
      sampling: samplingSettings(checked),
      prompt,
      promptTokens: promptTokens.length,
      reusedTokens: stats.reusedTokens,
      finishReason: summary.finishReason,
      prefillMs: stats.prefillMs,
      decodeMs: stats.decodeMs,
      trees: [...this.#trees.values()].map(({ tree }) => inspectedTree(tree)),
      texts: this.#texts(),
      steps: this.#steps.map((step, index) =>
        index === this.#steps.length - 1 ? withTail(step, tail) : step,
      ),
    };
  }

  #texts(): Record<string, string> {
    const tokenizer = this.#tokenizer;
    if (tokenizer === undefined) return {};
    const ids = new Set(this.#steps.flatMap(({ tokens }) => [...tokens]));
    // Embeddings may be padded past the vocabulary; such an id has no text.
    const named = [...ids].filter((id) => id < tokenizer.vocabSize).sort((a, b) => a - b);
    return Object.fromEntries(named.map((id) => [String(id), tokenText(tokenizer, id)]));
  }
}

/** A token by itself; one that is part of a character as the vocabulary writes it. */
function tokenText(tokenizer: Tokenizer, id: number): string {
  const text = tokenizer.decode([id], { continuing: true });
  return text === "" || text.includes("\uFFFD") ? (tokenizer.idToToken(id) ?? text) : text;
}

function withTail(step: RecordedStep, tail: string): RecordedStep {
  if (step.pieces === undefined || tail === "") return step;
  return { ...step, pieces: [...step.pieces.slice(0, -1), (step.pieces.at(-1) ?? "") + tail] };
}

/** Values that change nothing are left out, and all of them where no token is drawn. */
function samplingSettings({ acceptance, seed }: CheckedRequest): RecordedGeneration["sampling"] {
  const { temperature, topK, topP, minP, repetitionPenalty } = acceptance.sampling;
  const drawn = temperature > 0;
  const settings: [name: string, value: number | bigint | string, shown: boolean][] = [
    ["acceptance", acceptance.rule, acceptance.rule === "typical"],
    ["temperature", temperature, drawn],
    ["top-k", topK, drawn && topK > 0],
    ["top-p", topP, drawn && topP < 1],
    ["min-p", minP, drawn && minP > 0],
    ["repetition penalty", repetitionPenalty, repetitionPenalty !== 1],
    ["seed", seed, drawn],
  ];
  return settings
    .filter(([, , shown]) => shown)
    .map(([name, value]) => ({ name, value: String(value) }));
}

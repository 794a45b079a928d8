import type { Executable, LoadedWeights, Session } from "../../runtime/executor.ts";
import { eventLoopTurn } from "../../runtime/event-loop.ts";
import { buildCandidates } from "../models/candidates-graph.ts";
import { buildPrefill } from "../models/decode-graphs.ts";
import type { BaseModel } from "../models/llama.ts";
import type { Drafter } from "../speculation/drafter.ts";
import type { RankRecord } from "../speculation/rank-record.ts";
import { maxTreeNodes } from "../speculation/tree.ts";
import { HydrantError } from "../util/errors.ts";

/** How far ahead, and how many ranks deep, a `RankMeter` looks. */
export interface RankMeterOptions {
  /** Depths to look at; default as many as there are heads, at most 5. */
  readonly depths?: number | undefined;
  /** Candidates of each; default 10. */
  readonly ranks?: number | undefined;
}

/** What a meter needs of a loaded model. */
export interface RankMeterParts {
  readonly base: BaseModel;
  readonly drafter: Drafter;
  readonly weights: LoadedWeights;
  readonly contextLength: number;
  readonly prefillRows: number;
}

/** Heads that are applied again and again have no last depth. */
const usualDepths = 5;
const usualRanks = 10;

/**
 * Measures how well draft heads guess a known text: at every position all depths at once, with the
 * text itself as the prefix. One pass of base model and heads per token, whatever the tree to be.
 */
export class RankMeter {
  readonly depths: number;
  readonly ranks: number;
  readonly #parts: RankMeterParts;
  readonly #session: Session;
  readonly #prefill: Executable;
  readonly #candidates: Executable;

  /** @throws HydrantError `ranks/no-heads`, `ranks/options` */
  constructor(parts: RankMeterParts, options: RankMeterOptions) {
    const { base, drafter, weights, contextLength } = parts;
    this.depths = options.depths ?? Math.min(drafter.maxDepth, usualDepths);
    this.ranks = options.ranks ?? Math.min(usualRanks, base.config.vocabSize);
    checkOptions(this.depths, this.ranks, drafter, base.config.vocabSize);
    this.#parts = parts;
    // Drafts may be noted past the last token.
    this.#session = weights.session({ capacity: contextLength + this.depths + 1 });
    this.#prefill = this.#session.compile(buildPrefill(base, drafter));
    this.#candidates = this.#session.compile(buildCandidates(drafter, this.depths, this.ranks));
  }

  /**
   * Ranks of the tokens of `text`, which follows `prompt`.
   * @throws HydrantError when there is no prompt, or the context does not hold both.
   */
  async measure(
    prompt: readonly number[],
    text: readonly number[],
    signal?: AbortSignal,
  ): Promise<RankRecord> {
    const { contextLength, prefillRows } = this.#parts;
    if (prompt.length === 0 || prompt.length + text.length > contextLength) {
      throw new HydrantError(
        "ranks/length",
        `${prompt.length} tokens of prompt and ${text.length} of text cannot be measured.`,
        { hint: `There must be a prompt, and room in the context of ${contextLength} tokens.` },
      );
    }
    const tokens = [...prompt, ...text];
    this.#session.writeState("length", Int32Array.of(0));
    for (let from = 0; from < prompt.length; from += prefillRows) {
      await eventLoopTurn();
      signal?.throwIfAborted();
      await this.#absorb(tokens, from, Math.min(from + prefillRows, prompt.length));
    }
    const record: number[][] = [];
    for (let at = prompt.length; at < tokens.length; at++) {
      await eventLoopTurn();
      signal?.throwIfAborted();
      const path = tokens.slice(at + 1, at + 1 + this.depths);
      record.push(await this.#ranksAt(tokens[at] ?? 0, path));
      await this.#absorb(tokens, at, at + 1);
    }
    return record;
  }

  /** Frees its caches; the model stays. */
  dispose(): void {
    this.#candidates.dispose();
    this.#prefill.dispose();
    this.#session.dispose();
  }

  async #ranksAt(root: number, path: readonly number[]): Promise<number[]> {
    const padded = Int32Array.from({ length: this.depths }, (_, depth) => path[depth] ?? 0);
    const { candidates } = await this.#candidates.run({ root: Int32Array.of(root), path: padded });
    if (!(candidates instanceof Int32Array)) throw new TypeError("the graph has no candidates");
    return path.map((token, depth) =>
      candidates.subarray(depth * this.ranks, (depth + 1) * this.ranks).indexOf(token),
    );
  }

  async #absorb(tokens: readonly number[], from: number, to: number): Promise<void> {
    // What follows the very last token is not known, and no draft comes after it.
    const following = [...tokens.slice(from + 1, to + 1), 0].slice(0, to - from);
    await this.#prefill.run(
      {
        tokens: Int32Array.from(tokens.slice(from, to)),
        following: Int32Array.from(following),
        count: Int32Array.of(to - from),
      },
      { rows: to - from },
    );
  }
}

function checkOptions(depths: number, ranks: number, drafter: Drafter, vocabSize: number): void {
  if (drafter.maxDepth === 0) {
    throw new HydrantError(
      "ranks/no-heads",
      "Ranks are those of draft heads, and none are loaded.",
      {
        hint: "Load the model with heads.",
      },
    );
  }
  if (!Number.isInteger(depths) || depths < 1 || depths > drafter.maxDepth) {
    throw new HydrantError("ranks/options", `${depths} depths were asked for.`, {
      hint: `These heads guess 1 to ${drafter.maxDepth} tokens ahead.`,
    });
  }
  const most = Math.min(vocabSize, Math.floor((maxTreeNodes - 1) / depths));
  if (!Number.isInteger(ranks) || ranks < 1 || ranks > most) {
    throw new HydrantError("ranks/options", `${ranks} ranks were asked for.`, {
      hint: `With ${depths} depths there may be 1 to ${most}.`,
    });
  }
}

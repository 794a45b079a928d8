import type { GenerateOptions, Model } from "../../src/index.ts";
import { type Spread, spread } from "../decode/statistics.ts";
import type { Turn } from "./conversations.ts";
import type { CategoryResults } from "./results.ts";

/** One answer given once. */
export interface TurnRun {
  readonly category: string;
  readonly newTokens: number;
  /** Tokens each step committed, the last one's not cut at the end of the text. */
  readonly committed: readonly number[];
  readonly decodeMs: number;
  /** Whether the answer is plain decoding's. */
  readonly same: boolean;
}

/** Answers all turns, one after the other. */
export async function decodeTurns(
  model: Model,
  turns: readonly Turn[],
  request: GenerateOptions,
): Promise<TurnRun[]> {
  const runs: TurnRun[] = [];
  for (const { category, input, answer } of turns) {
    const tokens: number[] = [];
    const committed: number[] = [];
    let decodeMs = 0;
    for await (const chunk of model.stream({ ...request, ...input })) {
      tokens.push(...chunk.tokens);
      // The context limit ends a text with a step that is none.
      if (chunk.tree.length > 0) committed.push(chunk.accepted.length);
      decodeMs = chunk.stats?.decodeMs ?? decodeMs;
    }
    runs.push({
      category,
      newTokens: tokens.length,
      committed,
      decodeMs,
      same: tokens.length === answer.length && tokens.every((token, i) => token === answer[i]),
    });
  }
  return runs;
}

/**
 * Figures of one category, or of all turns.
 * @param rounds the same turns, answered once in each.
 * @param plain plain decoding's rounds, each beside the round of the same index.
 */
export function summarise(
  category: string,
  rounds: readonly (readonly TurnRun[])[],
  plain: readonly (readonly TurnRun[])[],
): CategoryResults {
  const rates = rounds.map(rate);
  const first = rounds[0] ?? [];
  const committed = first.flatMap((run) => run.committed);
  return {
    category,
    turns: first.length,
    steps: committed.length,
    newTokens: sum(first.map((run) => run.newTokens)),
    tokensPerStep: sum(committed) / committed.length,
    tokensPerSecond: spread(rates),
    speedup: spread(rates.map((each, round) => each / rate(plain[round] ?? []))),
  };
}

/** Categories in the order of their first turn. */
export function summariseCategories(
  rounds: readonly (readonly TurnRun[])[],
  plain: readonly (readonly TurnRun[])[],
): CategoryResults[] {
  const categories = [...new Set((rounds[0] ?? []).map((run) => run.category))];
  const of = (category: string, all: readonly (readonly TurnRun[])[]) =>
    all.map((runs) => runs.filter((run) => run.category === category));
  return categories.map((category) =>
    summarise(category, of(category, rounds), of(category, plain)),
  );
}

/** Share of steps that committed at least d + 1 drafts, by depth d. */
export function survival(runs: readonly TurnRun[], depths: number): number[] {
  const committed = runs.flatMap((run) => run.committed);
  return Array.from(
    { length: depths },
    (_, depth) => committed.filter((count) => count > depth + 1).length / committed.length,
  );
}

/** Milliseconds of a step, over turns. */
export function stepTime(runs: readonly TurnRun[]): Spread {
  return spread(runs.map((run) => run.decodeMs / run.committed.length));
}

/** Tokens per second of several answers as if they were one. */
function rate(runs: readonly TurnRun[]): number {
  return (1000 * sum(runs.map((run) => run.newTokens))) / sum(runs.map((run) => run.decodeMs));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

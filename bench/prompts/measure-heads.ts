import { basename } from "node:path";
import type { GenerateOptions, Model } from "../../src/index.ts";
import { expectedTokens } from "../../src/speculation/acceptance-table.ts";
import { namedTree } from "../../src/speculation/named-trees.ts";
import { countAcceptance } from "../../src/speculation/rank-record.ts";
import { type TreeTopology, truncateDepth } from "../../src/speculation/tree.ts";
import type { Turn } from "./conversations.ts";
import {
  decodeTurns,
  summarise,
  summariseCategories,
  survival,
  type TurnRun,
} from "./decode-turns.ts";
import type { MeasuredAcceptance, MethodResults } from "./results.ts";
import { type RankedTurn, replayedTokens, sameSteps, sweep } from "./sweep.ts";

export interface HeadsPlan {
  readonly request: GenerateOptions;
  readonly rounds: number;
  /** Default: `mc_sim_7b_63`, as deep as the heads go. */
  readonly tree?: TreeTopology | undefined;
  /** Sizes of the sweep. */
  readonly sizes: readonly number[];
}

/** Hears what is being done, and how far it is. */
export type Progress = (phase: string, count?: string) => void;

export interface MeasuredHeads {
  readonly results: MethodResults;
  /** Plain decoding's rounds, taken in turns with those of the heads. */
  readonly plain: readonly (readonly TurnRun[])[];
}

/** Turns answered before the clock counts, by each method. */
const warmUp = 2;
/** Turns decoded with every tree of the sweep. */
const sweepSample = 8;
/** Candidates looked at in every place. */
const ranks = 10;

/** One set of heads against plain decoding of the same model on the same turns. */
export async function measureHeads(
  model: Model,
  heads: string,
  turns: readonly Turn[],
  plan: HeadsPlan,
  progress: Progress,
): Promise<MeasuredHeads> {
  const tree = plan.tree ?? truncateDepth(namedTree("mc_sim_7b_63"), model.draftDepth);
  const withPlain = { ...plan.request, method: "autoregressive" };
  const withHeads = { ...plan.request, method: model.method, tree };
  const plain: TurnRun[][] = [];
  const rounds: TurnRun[][] = [];
  for (let round = 0; round <= plan.rounds; round++) {
    progress(round === 0 ? "warming up" : `round ${round} of ${plan.rounds}`);
    const these = round === 0 ? turns.slice(0, warmUp) : turns;
    const plainRuns = await decodeTurns(model, these, withPlain);
    const runs = await decodeTurns(model, these, withHeads);
    if (round === 0) continue;
    plain.push(plainRuns);
    rounds.push(runs);
  }
  progress("ranks of the candidates");
  const ranked = await rankTurns(model, turns, tree);
  const acceptance = measuredAcceptance(tree, ranked, rounds[0] ?? []);
  progress("trees of other sizes");
  const same = rounds.flat();
  return {
    plain,
    results: {
      name: basename(heads),
      method: model.method,
      tree: tree.name,
      nodes: tree.size - 1,
      overall: summarise("overall", rounds, plain),
      categories: summariseCategories(rounds, plain),
      same: { texts: same.filter((run) => run.same).length, of: same.length },
      acceptance,
      sweep: await sweep(model, acceptance.table, ranked, {
        sizes: plan.sizes,
        request: plan.request,
        sample: sweepSample,
      }),
    },
  };
}

async function rankTurns(
  model: Model,
  turns: readonly Turn[],
  tree: TreeTopology,
): Promise<RankedTurn[]> {
  // The tree must lie within what is looked at, or it cannot be replayed.
  const meter = model.rankMeter({
    depths: Math.min(model.draftDepth, Math.max(5, tree.maxDepth)),
    ranks: Math.max(ranks, 1 + Math.max(...tree.ranks)),
  });
  try {
    const ranked: RankedTurn[] = [];
    for (const turn of turns)
      ranked.push({ turn, record: await meter.measure(turn.prompt, turn.answer) });
    return ranked;
  } finally {
    meter.dispose();
  }
}

function measuredAcceptance(
  tree: TreeTopology,
  ranked: readonly RankedTurn[],
  runs: readonly TurnRun[],
): MeasuredAcceptance {
  const records = ranked.map(({ record }) => record);
  const depths = Math.max(0, ...records.flat().map((row) => row.length));
  const { table, trials } = countAcceptance(records, depths, ranks);
  return {
    table,
    trials,
    survival: survival(runs, tree.maxDepth),
    check: {
      expected: expectedTokens(tree, table),
      replayed: replayedTokens(tree, records),
      sameSteps: sameSteps(tree, ranked, runs),
    },
  };
}

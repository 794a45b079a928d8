import type { TreePath } from "../../src/speculation/tree.ts";
import type { Configuration } from "./configurations.ts";
import { EngineProcess } from "./engine-process.ts";
import type { EngineInfo, Memory, Run } from "./protocol.ts";
import type { Kind, Measured, StepCosts } from "./results.ts";
import { combinedRate, firstDifferences, perStep, spread } from "./statistics.ts";

export interface Plan {
  readonly prompts: readonly (readonly number[])[];
  readonly newTokens: number;
  readonly rounds: number;
  /** Least time of a configuration in a round; the prompts are repeated for it. */
  readonly leastMs: number;
  /** Peers begin no further prompt of a round after this time. */
  readonly mostPeerMs: number;
  /** Trees whose step is timed, small to large; the empty one is plain decoding. */
  readonly trees: readonly (readonly TreePath[])[];
  readonly stepsPerRound: number;
}

interface Started {
  readonly configuration: Configuration;
  readonly process: EngineProcess;
  readonly about: EngineInfo;
  readonly loadMs: number;
  readonly rounds: (readonly Run[])[];
  readonly stepMs: number[][];
}

/**
 * Runs all configurations in turns: every round has each of them once, so that what else happens on
 * the machine hits all alike. The first configuration is the reference; the round before the first
 * is not timed (it compiles and warms up). The texts of all rounds are compared.
 */
export async function measure(
  configurations: readonly Configuration[],
  plan: Plan,
  progress: (what: string) => void,
): Promise<{ measured: Measured[]; stepCosts: StepCosts[] }> {
  const started: Started[] = [];
  try {
    for (const configuration of configurations) {
      progress(`loading: ${configuration.name}`);
      const engine = await EngineProcess.start(configuration.worker, configuration.settings);
      started.push({ configuration, ...engine, rounds: [], stepMs: plan.trees.map(() => []) });
    }
    for (let round = 0; round <= plan.rounds; round++) {
      for (const one of started) {
        progress(`round ${round} of ${plan.rounds}: ${one.configuration.name}`);
        await runRound(one, plan, round);
      }
    }
    const memory: Memory[] = [];
    for (const one of started) memory.push(await one.process.finish());
    return { measured: evaluate(started, memory), stepCosts: evaluateSteps(started, plan) };
  } catch (error) {
    for (const one of started) one.process.kill();
    throw error;
  }
}

async function runRound(
  { configuration, process, rounds, stepMs }: Started,
  plan: Plan,
  round: number,
): Promise<void> {
  const { prompts, newTokens, leastMs, mostPeerMs } = plan;
  // Whoever has no time for all prompts begins with another one each time.
  const turned = prompts.map((_, i) => prompts[(i + round) % prompts.length] ?? []);
  const mostMs = isOurs(configuration.kind) ? Number.MAX_VALUE : mostPeerMs;
  rounds.push(await process.generate({ prompts: turned, newTokens, leastMs, mostMs }));
  if (configuration.stepCostsOf === undefined) return;
  const times = await process.timeSteps({
    prompt: prompts[0] ?? [],
    trees: plan.trees,
    steps: plan.stepsPerRound,
  });
  if (round === 0) return;
  for (const [tree, samples] of times.entries()) stepMs[tree]?.push(...samples);
}

function evaluate(started: readonly Started[], memory: readonly Memory[]): Measured[] {
  const reference = started[0]?.rounds ?? [];
  const texts = reference.map((runs) => runs.map((run) => run.tokens));
  const referenceRates = reference.slice(1).map(combinedRate);
  return started.map(({ configuration, about, loadMs, rounds }, index) => {
    const timed = rounds.slice(1);
    const rates = timed.map(combinedRate);
    return {
      name: configuration.name,
      kind: configuration.kind,
      about,
      loadMs,
      tokensPerSecond: spread(rates),
      rounds: rates,
      overReference: spread(rates.map((rate, i) => rate / (referenceRates[i] ?? Number.NaN))),
      promptMs: spread(timed.flat().map((run) => run.promptMs)),
      tokensPerStep: perStep(timed.flat(), "tokensPerStep"),
      stepMs: perStep(timed.flat(), "stepMs"),
      memory: memory[index] ?? { beforeLoad: Number.NaN, peak: Number.NaN },
      differences: rounds
        .flatMap((runs, round) => firstDifferences(runs, texts[round] ?? []))
        .map((at) => at ?? null),
    };
  });
}

/** Ours must give the reference's very tokens; peers round differently. */
export function isOurs(kind: Kind): boolean {
  return kind === "plain" || kind === "speculative";
}

function evaluateSteps(started: readonly Started[], plan: Plan): StepCosts[] {
  return started.flatMap(({ configuration, stepMs }) =>
    configuration.stepCostsOf === undefined
      ? []
      : [
          {
            heads: configuration.stepCostsOf,
            steps: plan.trees.map((tree, index) => ({
              rows: tree.length + 1,
              ms: spread(stepMs[index] ?? []),
            })),
          },
        ],
  );
}

import type { LaunchTime } from "../../../runtime/cuda/executable.ts";
import { CudaSession } from "../../../runtime/cuda/session.ts";
import { buildStep } from "../../../src/models/decode-graphs.ts";
import { rootOnly, type TreeTopology } from "../../../src/speculation/tree.ts";
import { invariant } from "../../../src/util/errors.ts";
import { countFigures, figure } from "../figures.ts";
import { withFindings } from "../findings.ts";
import { unchecked } from "../job.ts";
import type { BenchEntry, Check, Figure } from "../results.ts";
import { greedy, promptOf, sameTokens, type StepModel, treeOf } from "./step-model.ts";

type Measured = Pick<BenchEntry, "figures" | "check" | "notes">;

/** Steps of a sample: as many as take this long, but the context may not grow much. */
const leastSampleMs = 4;
const mostSteps = 8;
/** Steps before the first sample: code and weights come into the caches. */
const warmUps = 2;
const promptRounds = 3;
/** Steps timed by the device's clock, whole and launch by launch. */
const mostProfiles = 5;

/** A step over `rows` nodes after `context` tokens. */
export async function measureStep(
  model: StepModel,
  rows: number,
  context: number,
  rounds: number,
): Promise<Measured> {
  const { device, decoder, base } = model;
  const tree = treeOf(model, rows);
  // Sharing no token with a prompt of another length, so that the context is as long as it says.
  const prompt = promptOf(base, context, 10 + context);
  await decoder.start(prompt, greedy);
  if (device.kind === "emulator") {
    const counts = await device.counting.during(() => decoder.step(tree, greedy));
    const texts = [decoder.tokens.slice(context)];
    return { figures: countFigures(counts), ...(await finish(model, rows, prompt, texts)) };
  }
  let ms = 0;
  for (let i = 0; i < warmUps; i++) ms = await timeStep(model, tree);
  const steps = Math.max(1, Math.min(Math.ceil(leastSampleMs / ms), mostSteps));
  const samples: number[] = [];
  const texts: number[][] = [];
  for (let round = 0; round < rounds; round++) {
    await decoder.start(prompt, greedy);
    const begin = performance.now();
    for (let i = 0; i < steps; i++) await decoder.step(tree, greedy);
    samples.push((performance.now() - begin) / steps);
    texts.push(decoder.tokens.slice(context));
  }
  const figures = {
    time: figure("ms", "lower", samples),
    ...(device.kind === "cuda" ? await breakdown(model, tree, prompt, rounds) : {}),
  };
  return { figures, ...(await finish(model, rows, prompt, texts)) };
}

/** A prompt from nothing to the first new token. */
export async function measurePrompt(
  { device, base, decoder, plainCheck, checks }: StepModel,
  length: number,
  rounds: number,
): Promise<Measured> {
  const prompt = (round: number) => promptOf(base, length, 100 + round);
  if (device.kind === "emulator") {
    const counts = await device.counting.during(() => decoder.start(prompt(0), greedy));
    return { figures: countFigures(counts), check: withFindings(device, plainCheck), notes: {} };
  }
  const ms: number[] = [];
  for (let round = 0; round <= Math.min(rounds, promptRounds); round++) {
    const begin = performance.now();
    await decoder.start(prompt(round), greedy);
    if (round > 0) ms.push(performance.now() - begin);
  }
  return {
    figures: {
      time: figure("ms", "lower", ms),
      rate: figure(
        "tokens/s",
        "higher",
        ms.map((one) => (1000 * length) / one),
      ),
    },
    check: checks ? plainCheck : unchecked,
    notes: {},
  };
}

async function timeStep({ decoder }: StepModel, tree: TreeTopology): Promise<number> {
  const begin = performance.now();
  await decoder.step(tree, greedy);
  return performance.now() - begin;
}

/** Trees must give what plain steps give from the same prompt. */
async function finish(
  { device, decoder, plainCheck, checks }: StepModel,
  rows: number,
  prompt: readonly number[],
  texts: readonly (readonly number[])[],
): Promise<Pick<Measured, "check" | "notes">> {
  const longest = Math.max(...texts.map((text) => text.length));
  const notes = { "tokens committed": longest };
  if (!checks) return { check: unchecked, notes };
  if (rows === 1) return { check: withFindings(device, plainCheck), notes };
  await decoder.start(prompt, greedy);
  while (decoder.tokens.length < prompt.length + longest) await decoder.step(rootOnly, greedy);
  const plain = decoder.tokens.slice(prompt.length);
  const checksOf = texts.map((text) => sameTokens(text, plain, "plain steps"));
  const failed = checksOf.find(({ status }) => status === "failed");
  const check: Check = failed ?? checksOf[0] ?? unchecked;
  return { check: withFindings(device, check), notes };
}

/** A step's time by the GPU's clock, without the host, and where it goes, by family of kernels. */
async function breakdown(
  { session, decoder, base, drafter }: StepModel,
  tree: TreeTopology,
  prompt: readonly number[],
  rounds: number,
): Promise<Record<string, Figure>> {
  invariant(session instanceof CudaSession, "a GPU's sessions are CUDA sessions");
  const executable = session.compile(buildStep(base, drafter, tree));
  const all: (readonly LaunchTime[])[] = [];
  const whole: number[] = [];
  const inputs = { sampling: greedy.sampling, seed: BigUint64Array.of(greedy.seed) };
  for (let round = 0; round < Math.min(rounds, mostProfiles); round++) {
    // A step that is not the decoder's moves the session on without its knowing.
    await decoder.start(prompt, greedy);
    whole.push(await executable.time(inputs));
    await decoder.start(prompt, greedy);
    all.push(await executable.profile(inputs));
  }
  executable.dispose();
  const families = [...new Set(all.flatMap((launches) => launches.map(({ family }) => family)))];
  const figures = families.map((family): readonly [string, Figure] => [
    `time: ${family}`,
    figure(
      "ms",
      "lower",
      all.map((launches) =>
        launches.reduce((sum, launch) => sum + (launch.family === family ? launch.ms : 0), 0),
      ),
    ),
  ]);
  // The largest first: it is what a reader looks for.
  return Object.fromEntries([
    ["device time", figure("ms", "lower", whole)],
    ...figures.toSorted(([, a], [, b]) => b.median - a.median),
  ]);
}

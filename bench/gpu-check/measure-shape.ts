import { Decoder, type StepInputs } from "../../runtime/decoder.ts";
import type { CudaExecutor, CudaWeights } from "../../runtime/cuda/executor.ts";
import type { LaunchTime } from "../../runtime/cuda/executable.ts";
import { createCudaExecutor, programCompiler } from "../../src/api/compile-program.ts";
import { describeSynthetic } from "../../src/api/synthetic-model.ts";
import { weightGraphs } from "../../src/api/weight-graphs.ts";
import { noDrafter } from "../../src/drafters/none.ts";
import { samplingFields } from "../../src/ir/op.ts";
import { buildPrefill, buildStep } from "../../src/models/decode-graphs.ts";
import type { BaseModel } from "../../src/models/llama.ts";
import type { Drafter } from "../../src/speculation/drafter.ts";
import { namedTree } from "../../src/speculation/named-trees.ts";
import { rootOnly, type TreeTopology } from "../../src/speculation/tree.ts";
import { syntheticWeights } from "../../src/weights/synthetic.ts";
import { spread } from "../decode/statistics.ts";
import type { PartContext } from "./part.ts";

interface Extent {
  /** Tokens before the steps that are timed. */
  readonly contexts: readonly number[];
  readonly contextLength: number;
  readonly prefillRows: number;
  /** Steps before those that are timed, and the timed ones. */
  readonly warmUp: number;
  readonly steps: number;
  /** Runs timed launch by launch. */
  readonly profiles: number;
}

const full: Extent = {
  contexts: [512, 2048],
  contextLength: 3072,
  prefillRows: 512,
  warmUp: 4,
  steps: 24,
  profiles: 5,
};
const small: Extent = {
  contexts: [12],
  contextLength: 128,
  prefillRows: 16,
  warmUp: 0,
  steps: 1,
  profiles: 1,
};

interface Loaded {
  readonly part: PartContext;
  readonly extent: Extent;
  readonly executor: CudaExecutor;
  readonly weights: CudaWeights;
  readonly base: BaseModel;
}

/**
 * A published shape with synthetic weights and Hydra++ heads: what loading, a prompt of 2048 tokens
 * and a step cost, the step plain and with trees, and how much of the time is whose.
 */
export async function measureShape(part: PartContext, shape: string): Promise<void> {
  const executor = await createCudaExecutor({
    driver: part.device === "emulator" ? "emulator" : "cuda",
    ordinal: Number(part.device.split(":")[1] ?? 0),
    activations: "stored",
  });
  const { base, drafter: hydra } = describeSynthetic(shape, "hydra++", (weights) => weights);
  const begin = performance.now();
  const weights = await executor.load(syntheticWeights(weightGraphs(base, hydra)));
  part.note("weights made on the device, seconds", (performance.now() - begin) / 1000);
  part.note("weights, GB", weights.byteLength / 1e9);
  const loaded: Loaded = { part, extent: part.small ? small : full, executor, weights, base };
  const tree = namedTree("mc_sim_7b_63");
  await measureDecoder(loaded, "plain", noDrafter(), [{ name: "plain step", tree: rootOnly }]);
  await measureDecoder(loaded, "hydra++", hydra, [
    { name: "hydra++, no tree", tree: rootOnly },
    { name: "hydra++, chain of 4", tree: namedTree("chain-4") },
    { name: "hydra++, 63-node tree", tree },
  ]);
  const { compiled, fromCache } = executor.compiled;
  part.note("kernels compiled", compiled);
  part.note("kernels from the cache", fromCache);
  await weights.dispose();
  await executor.dispose();
}

async function measureDecoder(
  { part, extent, executor, weights, base }: Loaded,
  name: string,
  drafter: Drafter,
  timed: readonly { readonly name: string; readonly tree: TreeTopology }[],
): Promise<void> {
  const { contexts, contextLength, prefillRows, profiles } = extent;
  const capacity = contextLength + 64;
  const session = weights.session({ capacity });
  const decoder = new Decoder(
    session,
    {
      prefill: buildPrefill(base, drafter),
      step: (tree) => buildStep(base, drafter, tree),
    },
    { contextLength, prefillRows },
  );
  const inputs = stepInputs({});
  const longest = contexts.at(-1) ?? 0;
  const first = performance.now();
  await decoder.start(promptOf(base, longest, 1), inputs);
  part.note(`${name}: first prompt of ${longest} with compiling, ms`, performance.now() - first);
  const prefills: number[] = [];
  for (let round = 2; round < 5; round++) {
    const begin = performance.now();
    await decoder.start(promptOf(base, longest, round), inputs);
    prefills.push(performance.now() - begin);
  }
  part.figure(`${name}: prompt of ${longest}`, "ms", prefills);

  const plainAt = new Map<number, number>();
  for (const length of contexts) {
    // Sharing no token with the text before, so that the context is as long as it says.
    await decoder.start(promptOf(base, length, 10 + length), inputs);
    for (const { name: what, tree } of timed) {
      const ms = await timeSteps(decoder, tree, inputs, extent);
      part.figure(`${what} at ${length}`, "ms", ms);
      if (tree.size === 1) plainAt.set(length, spread(ms).median);
      if (tree.size > 1) {
        const sampled = await timeSteps(
          decoder,
          tree,
          stepInputs({ temperature: 0.8, topP: 0.95 }),
          extent,
        );
        part.figure(`${what} at ${length}, sampled`, "ms", sampled);
      }
    }
  }
  for (const { name: what, tree } of timed) {
    const program = programCompiler.compile(
      buildStep(base, drafter, tree),
      { capacity },
      executor.target,
    );
    const bytes = program.launches.reduce((sum, { traffic }) => sum + traffic.weightBytes, 0);
    part.note(`${what}: launches`, program.launches.length);
    part.note(`${what}: weights read, GB`, bytes / 1e9);
    const ms = tree.size === 1 ? plainAt.get(contexts[0] ?? 0) : undefined;
    if (ms !== undefined) part.note(`${what}: weights read, GB/s`, bytes / ms / 1e6);
    // Last, as it moves the session on without the decoder's knowing.
    const executable = session.compile(buildStep(base, drafter, tree));
    const rounds: (readonly LaunchTime[])[] = [];
    for (let round = 0; round < profiles; round++)
      rounds.push(
        await executable.profile({
          sampling: inputs.sampling,
          seed: BigUint64Array.of(inputs.seed),
        }),
      );
    executable.dispose();
    reportLaunches(part, what, rounds);
  }
  decoder.dispose();
}

/** Where a step's time goes: by family of kernels, and the kernels that take most of it. */
function reportLaunches(
  part: PartContext,
  what: string,
  rounds: readonly (readonly LaunchTime[])[],
): void {
  const sums = (of: (launch: LaunchTime) => boolean) =>
    rounds.map((launches) => launches.filter(of).reduce((sum, { ms }) => sum + ms, 0));
  const [launches = []] = rounds;
  part.figure(
    `${what}: all launches, one by one`,
    "ms",
    sums(() => true),
  );
  for (const family of new Set(launches.map((launch) => launch.family)))
    part.figure(
      `${what}: ${family}`,
      "ms",
      sums((launch) => launch.family === family),
    );
  const kernels = [...new Set(launches.map(({ kernel }) => kernel))].map((kernel) => {
    const own = launches.filter((launch) => launch.kernel === kernel);
    const bytes = own.reduce(
      (sum, { traffic: { weightBytes, readBytes, writtenBytes } }) =>
        sum + weightBytes + readBytes + writtenBytes,
      0,
    );
    const ms = spread(sums((launch) => launch.kernel === kernel)).median;
    part.launchTime(kernel, (1000 * ms) / own.length);
    return {
      kernel,
      ms,
      text: `${ms.toFixed(4)} ms, ${own.length} launches, ${(bytes / ms / 1e6).toFixed(0)} GB/s`,
    };
  });
  for (const { kernel, text } of kernels.sort((a, b) => b.ms - a.ms).slice(0, 12))
    part.note(`${what}: ${kernel}`, text);
}

async function timeSteps(
  decoder: Decoder,
  tree: TreeTopology,
  inputs: StepInputs,
  { warmUp, steps }: Extent,
): Promise<number[]> {
  const times: number[] = [];
  for (let step = 0; step < warmUp + steps; step++) {
    const begin = performance.now();
    await decoder.step(tree, inputs);
    if (step >= warmUp) times.push(performance.now() - begin);
  }
  return times;
}

/** Token ids without pattern, others for every seed. */
function promptOf({ config }: BaseModel, length: number, seed: number): number[] {
  return Array.from(
    { length },
    (_, i) => (Math.imul(i + 1, 2654435761) + Math.imul(seed, 40503)) >>> 0,
  ).map((word) => (word >>> 8) % config.vocabSize);
}

function stepInputs(
  sampling: Partial<Record<(typeof samplingFields)[number], number>>,
): StepInputs {
  const values: Partial<Record<string, number>> = { topP: 1, repetitionPenalty: 1, ...sampling };
  return {
    sampling: Float32Array.from(samplingFields, (field) => values[field] ?? 0),
    seed: 1n,
  };
}

import { Decoder, type StepInputs } from "../../runtime/decoder.ts";
import type { CudaExecutor, CudaWeights } from "../../runtime/cuda/executor.ts";
import type { CudaSession } from "../../runtime/cuda/session.ts";
import { CudaExecutable, type LaunchTime } from "../../runtime/cuda/executable.ts";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
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
import { invariant } from "../../src/util/errors.ts";
import { syntheticWeights } from "../../src/weights/synthetic.ts";
import { spread } from "../decode/statistics.ts";
import { plainStep, shapeNames, treeStep } from "./figure-names.ts";
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
  readonly driver: CudaDriver;
  /** Bytes free when there was a context and nothing in it. */
  readonly freeBefore: number;
  readonly extent: Extent;
  readonly executor: CudaExecutor;
  readonly weights: CudaWeights;
  readonly base: BaseModel;
}

/**
 * A published shape with synthetic weights and Hydra++ heads: what loading, a prompt of 2048 tokens
 * and a step cost, the step plain and with trees, how much of the time is whose, and what memory is
 * taken beside weights and caches.
 * @param comparesOverlap steps are measured once more with launches that wait for one another.
 */
export async function measureShape(
  part: PartContext,
  shape: string,
  { comparesOverlap = false } = {},
): Promise<void> {
  const { base, drafter: hydra } = describeSynthetic(shape, "hydra++", (weights) => weights);
  const extent = part.small ? small : full;
  const plain: readonly TimedTree[] = [{ name: plainStep, tree: rootOnly }];
  const trees: readonly TimedTree[] = [
    { name: "hydra++, no tree", tree: rootOnly },
    { name: "hydra++, chain of 4", tree: namedTree("chain-4") },
    { name: treeStep, tree: namedTree("mc_sim_7b_63") },
  ];
  const withWeights = async (
    overlapLaunches: boolean,
    work: (loaded: Loaded) => Promise<void>,
  ): Promise<void> => {
    const driver = await openDriver(part.device === "emulator" ? "emulator" : "cuda");
    const ordinal = Number(part.device.split(":")[1] ?? 0);
    const executor = await createCudaExecutor({
      driver,
      ordinal,
      activations: "stored",
      overlapLaunches,
    });
    const freeBefore = driver.memoryInfo().free;
    const begin = performance.now();
    const weights = await executor.load(syntheticWeights(weightGraphs(base, hydra)));
    if (overlapLaunches) {
      part.note("weights made on the device, seconds", (performance.now() - begin) / 1000);
      part.note("weights, GB", weights.byteLength / 1e9);
    }
    await work({ part, driver, freeBefore, extent, executor, weights, base });
    await weights.dispose();
    await executor.dispose();
    driver.close();
  };
  await withWeights(true, async (loaded) => {
    await measureDecoder(loaded, "plain", noDrafter(), plain);
    await measureDecoder(loaded, "hydra++", hydra, trees);
    const { compiled, fromCache } = loaded.executor.compiled;
    part.note("kernels compiled", compiled);
    part.note("kernels from the cache", fromCache);
  });
  if (!comparesOverlap) return;
  await withWeights(false, async (loaded) => {
    await measureApart(loaded, noDrafter(), plain);
    await measureApart(loaded, hydra, trees.slice(-1));
  });
}

interface TimedTree {
  readonly name: string;
  readonly tree: TreeTopology;
}

function openDecoder(
  { extent, weights, base }: Loaded,
  drafter: Drafter,
): { readonly session: CudaSession; readonly decoder: Decoder; readonly capacity: number } {
  const { contextLength, prefillRows } = extent;
  const capacity = contextLength + 64;
  const session = weights.session({ capacity });
  const graphs = {
    prefill: buildPrefill(base, drafter),
    step: (tree: TreeTopology) => buildStep(base, drafter, tree),
  };
  const decoder = new Decoder(session, graphs, { contextLength, prefillRows });
  return { session, decoder, capacity };
}

/** Steps with launches that wait for one another: what overlap is worth. */
async function measureApart(
  loaded: Loaded,
  drafter: Drafter,
  timed: readonly TimedTree[],
): Promise<void> {
  const { part, extent, base } = loaded;
  const { decoder } = openDecoder(loaded, drafter);
  const inputs = stepInputs({});
  for (const length of extent.contexts) {
    await decoder.start(promptOf(base, length, 10 + length), inputs);
    for (const { name, tree } of timed)
      part.figure(
        shapeNames.apart(shapeNames.step(name, length)),
        "ms",
        await timeSteps(decoder, tree, inputs, extent),
      );
  }
  decoder.dispose();
}

async function measureDecoder(
  loaded: Loaded,
  name: string,
  drafter: Drafter,
  timed: readonly TimedTree[],
): Promise<void> {
  const { part, extent, executor, base } = loaded;
  const { contexts } = extent;
  const { session, decoder, capacity } = openDecoder(loaded, drafter);
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
  part.figure(shapeNames.prompt(name, longest), "ms", prefills);

  for (const length of contexts) {
    // Sharing no token with the text before, so that the context is as long as it says.
    await decoder.start(promptOf(base, length, 10 + length), inputs);
    for (const { name: what, tree } of timed) {
      const ms = await timeSteps(decoder, tree, inputs, extent);
      part.figure(shapeNames.step(what, length), "ms", ms);
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
  reportMemory(loaded, name);
  for (const { name: what, tree } of timed) {
    const graph = buildStep(base, drafter, tree);
    const program = programCompiler.compile(graph, { capacity }, executor.target);
    const bytes = program.launches.reduce((sum, { traffic }) => sum + traffic.weightBytes, 0);
    part.note(`${what}: launches`, program.launches.length);
    part.note(shapeNames.weightsRead(what), bytes / 1e9);
    const executable = session.compile(graph);
    invariant(executable instanceof CudaExecutable, "CUDA sessions make CUDA executables");
    for (const length of contexts) {
      // What is timed here moves the session on without the decoder's knowing.
      await decoder.start(promptOf(base, length, 20 + length), inputs);
      await timeOnDevice(loaded, shapeNames.step(what, length), executable, inputs);
    }
    executable.dispose();
  }
  decoder.dispose();
}

/** A step by the device's clock, as a whole and launch by launch. */
async function timeOnDevice(
  { part, extent: { profiles } }: Loaded,
  what: string,
  executable: CudaExecutable,
  { sampling, seed }: StepInputs,
): Promise<void> {
  const inputs = { sampling, seed: BigUint64Array.of(seed) };
  const whole: number[] = [];
  const rounds: (readonly LaunchTime[])[] = [];
  for (let round = 0; round < profiles; round++) {
    whole.push(await executable.time(inputs));
    rounds.push(await executable.profile(inputs));
  }
  part.figure(shapeNames.deviceTime(what), "ms", whole);
  reportLaunches(part, what, rounds);
}

/** What is taken beside weights and caches: code, scratch, graphs, and what the driver keeps. */
function reportMemory({ part, driver, freeBefore, executor }: Loaded, name: string): void {
  const { weights, states } = executor.memory();
  const taken = freeBefore - driver.memoryInfo().free;
  part.figure(shapeNames.memory(name), "MB", [(taken - weights - states) / 1e6]);
  for (const [use, bytes] of Object.entries(executor.memory()))
    part.note(`${name}: memory for ${use}, MB`, bytes / 1e6);
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
    shapeNames.launches(what),
    "ms",
    sums(() => true),
  );
  for (const phase of new Set(launches.map(({ label }) => phaseOf(label))))
    part.figure(
      shapeNames.phase(what, phase),
      "ms",
      sums(({ label }) => phaseOf(label) === phase),
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

/** What of a step a launch belongs to, by the scope in its label: `draft 1` is the second depth. */
export function phaseOf(label: string): string {
  const depth = /^draft\.(\d+)/.exec(label)?.[1];
  if (depth !== undefined) return `draft ${depth}`;
  if (label.startsWith("draft") || label === "cast") return "draft";
  if (label.startsWith("accept.")) return "accept";
  if (/^(commit|history|finish)/.test(label)) return "commit";
  if (/^(prefix|accepted_rows)/.test(label)) return "absorb";
  return "verify";
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

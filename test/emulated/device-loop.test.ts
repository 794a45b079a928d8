import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CudaExecutor } from "../../runtime/cuda/executor.ts";
import { type DecodeStep, decode } from "../../runtime/decode-loop.ts";
import { Decoder } from "../../runtime/decoder.ts";
import { cudaError } from "../../runtime/driver/check.ts";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import type { InstrumentedDriver } from "../../runtime/driver/instrumented-driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import type { LoadedWeights } from "../../runtime/executor.ts";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { programCompiler } from "../../src/api/compile-program.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { samplingFields } from "../../src/ir/op.ts";
import { buildPrefill, buildStep } from "../../src/models/decode-graphs.ts";
import { rootOnly, type TreeTopology, treeFromPaths } from "../../src/speculation/tree.ts";
import { fixedPolicy } from "../../src/speculation/tree-policy.ts";
import { randomWeights } from "../helpers/memory-weights.ts";
import { Random } from "../helpers/random.ts";
import { drafterOf, randomModel } from "../helpers/random-model.ts";
import { onTheEmulator, withoutNvrtc } from "./emulated-executor.ts";

// Five ranks of a vocabulary of six cover much of the model's choice.
const random = new Random(7);
const shape = randomModel(random);
const model = { ...shape, config: { ...shape.config, vocabSize: 6 } };
const drafter = drafterOf("medusa-2", model);
const ranks = [0, 1, 2, 3, 4];
const pairs = ranks.flatMap((first) => ranks.map((second) => [first, second]));
const tree = treeFromPaths([
  ...ranks.map((first) => [first]),
  ...pairs,
  ...pairs.slice(0, 12).flatMap((pair) => [0, 1].map((third) => [...pair, third])),
]);
const prompt = [1, 2, 3];
const contextLength = model.config.maxPositions;

type Sampling = Partial<Record<(typeof samplingFields)[number], number>>;

function stepInputs(sampling: Sampling = {}) {
  const values = { topP: 1, repetitionPenalty: 1, ...sampling };
  return {
    sampling: Float32Array.from(samplingFields, (field) =>
      field in values ? (values[field] ?? 0) : 0,
    ),
    seed: 5n,
  };
}

/** An executor with the weights, and what its driver was asked to launch. */
interface Opened {
  readonly driver: InstrumentedDriver;
  readonly weights: LoadedWeights;
  /** Graph launches so far. */
  launches(): number;
  close(): Promise<void>;
}

async function open(
  loopRuns: number,
  wrap: (driver: CudaDriver) => CudaDriver = (driver) => driver,
  computeCapability: "8.0" | "9.0" = "9.0",
): Promise<Opened> {
  const driver = await openDriver("emulator", { sanitizer: true, computeCapability });
  let launches = 0;
  const executor = await CudaExecutor.create({
    driver: wrap(
      overriding(driver, {
        graphLaunch: (exec, stream) => {
          launches++;
          driver.graphLaunch(exec, stream);
        },
      }),
    ),
    compiler: programCompiler,
    headers: cudaHeaders,
    cache: new KernelCache(),
    activations: "stored",
    loopRuns,
  });
  const graphs = [buildPrefill(model, drafter), buildStep(model, drafter, tree)];
  const weights = await executor.load(randomWeights(graphs, new Random(8)));
  return {
    driver,
    weights,
    launches: () => launches,
    async close() {
      await executor.dispose();
      driver.close();
      expect(driver.findings()).toEqual([]);
    },
  };
}

/** The driver with some of its methods replaced. */
function overriding(driver: CudaDriver, methods: Partial<CudaDriver>): CudaDriver {
  return new Proxy(driver, {
    get(target, key) {
      const value: unknown = Reflect.get(methods, key) ?? Reflect.get(target, key, target);
      return typeof value === "function"
        ? (...args: unknown[]) => Reflect.apply(value, target, args)
        : value;
    },
  });
}

function newDecoder({ weights }: Pick<Opened, "weights">, context = contextLength): Decoder {
  return new Decoder(
    weights.session({ capacity: context + 80 }),
    { prefill: buildPrefill(model, drafter), step: (one) => buildStep(model, drafter, one) },
    { contextLength: context, prefillRows: 5 },
  );
}

interface PlayOptions {
  readonly sampling?: Sampling;
  readonly maxNewTokens?: number;
  readonly eos?: readonly number[];
  readonly tree?: TreeTopology;
  readonly prompt?: readonly number[];
  /** Called after every step; true leaves the loop. */
  readonly after?: (step: DecodeStep, index: number) => Promise<boolean> | boolean;
  readonly signal?: AbortSignal;
}

async function play(decoder: Decoder, options: PlayOptions = {}) {
  const { maxNewTokens = 20, eos = [], after, sampling } = options;
  const steps: DecodeStep[] = [];
  for await (const step of decode(decoder, {
    ...stepInputs(sampling),
    prompt: options.prompt ?? prompt,
    maxNewTokens,
    eosTokenIds: new Set(eos),
    policy: fixedPolicy(options.tree ?? tree),
    signal: options.signal,
  })) {
    steps.push(step);
    if (await after?.(step, steps.length - 1)) break;
  }
  return {
    tokens: steps.flatMap(({ tokens }) => tokens),
    paths: steps.map(({ outcome }) => outcome.path),
    finish: steps.at(-1)?.finish,
    held: [...decoder.tokens],
  };
}

describe.skipIf(withoutNvrtc)(
  `steps that follow each other on the device ${onTheEmulator}`,
  { timeout: 120_000 },
  () => {
    let alone: Opened;
    let looping: Opened;
    beforeAll(async () => {
      alone = await open(1);
      looping = await open(5);
    }, 120_000);
    afterAll(async () => {
      await alone.close();
      await looping.close();
    });

    const both = async (options: PlayOptions, context?: number) => {
      const decoders = [newDecoder(alone, context), newDecoder(looping, context)] as const;
      const results = [];
      for (const decoder of decoders) {
        results.push(await play(decoder, options));
        decoder.dispose();
      }
      const [expected, got] = results;
      if (expected === undefined || got === undefined) throw new Error("both were played");
      return { expected, got };
    };

    it.each<{ name: string; sampling: Sampling; shape: TreeTopology }>([
      { name: "greedy", sampling: {}, shape: tree },
      {
        name: "sampled",
        sampling: { temperature: 0.9, topP: 0.95, repetitionPenalty: 1.1 },
        shape: tree,
      },
      { name: "greedy, plain", sampling: {}, shape: rootOnly },
    ])(
      "commit the very tokens of steps launched one by one, $name",
      async ({ sampling, shape: one }) => {
        const before = looping.launches();
        const { expected, got } = await both({ sampling, tree: one });
        expect(got).toEqual(expected);
        expect(got.finish).toBe("length");
        // The first step has no tree; then five at a time.
        expect(looping.launches() - before).toBe(1 + Math.ceil(got.paths.length / 5));
      },
    );

    it("accept drafts in these tests, so that several tokens of a step are at stake", async () => {
      const { expected } = await both({});
      expect(expected.paths.some((path) => path.length > 2)).toBe(true);
    });

    it("end at a stop token inside an accepted path, without another step", async () => {
      const sampling = { temperature: 1 };
      const { expected: all } = await both({ sampling });
      // A token in the middle of a step's path that no step committed before.
      const begins = all.paths.map((_, i) => all.paths.slice(0, i).flat().length);
      const at = begins.find(
        (begin, i) =>
          (all.paths[i]?.length ?? 0) > 2 &&
          all.tokens.indexOf(all.tokens[begin + 1] ?? -1) === begin + 1,
      );
      if (at === undefined) throw new Error("another model is needed");
      const eos = [100, all.tokens[at + 1] ?? 0, 101];
      const { expected, got } = await both({ eos, sampling });
      expect(got).toEqual(expected);
      expect(got.finish).toBe("eos");
      expect(got.tokens.at(-1)).toBe(eos[1]);
    });

    it("end with the context, the last ones over smaller trees", async () => {
      for (const extra of [1, 3, 11]) {
        const { expected, got } = await both({ maxNewTokens: 100 }, prompt.length + extra);
        expect(got).toEqual(expected);
        expect(got).toMatchObject({ finish: "context" });
        expect(got.tokens).toHaveLength(extra);
      }
    });

    it("end when the reader leaves: what ran meanwhile is held, and the next text is right", async () => {
      const decoder = newDecoder(looping);
      const fresh = newDecoder(alone);
      const left = await play(decoder, { maxNewTokens: 40, after: (_, index) => index === 1 });
      const whole = await play(fresh, { maxNewTokens: 40 });
      expect(left.tokens).toEqual(whole.tokens.slice(0, left.tokens.length));
      expect(left.held).toEqual([...prompt, ...whole.tokens].slice(0, left.held.length));
      // All five were made before the first was read.
      expect(left.held.length).toBeGreaterThan(prompt.length + left.tokens.length);
      const longer = [...prompt, ...left.tokens, 4];
      expect((await play(decoder, { prompt: longer })).tokens).toEqual(
        (await play(fresh, { prompt: longer })).tokens,
      );
      decoder.dispose();
      fresh.dispose();
    });

    it("end after the step under way when they are asked to", async () => {
      const session = looping.weights.session({ capacity: contextLength + 80 });
      const step = session.compile(buildStep(model, drafter, tree));
      const { sampling, seed } = stepInputs();
      const inputs = { sampling, seed: BigUint64Array.of(seed) };
      const end = { length: 0, lastLength: 40, stopTokens: [] };
      const loop = await step.loop?.(inputs, end);
      // The emulator starts when somebody waits.
      loop?.stop();
      const first = await loop?.next();
      expect(first?.count?.[0]).toBeGreaterThan(0);
      expect(await loop?.next()).toBeUndefined();
      expect(await loop?.next()).toBeUndefined();
      expect(session.readState("length")).toEqual(first?.count);
      // The word is forgotten with the loop.
      const again = await step.loop?.(inputs, { ...end, length: Number(first?.count?.[0]) });
      let runs = 0;
      while ((await again?.next()) !== undefined) runs++;
      expect(runs).toBe(5);
      session.dispose();
    });

    it("end with the reason of an abort, and leave a decoder that goes on", async () => {
      const decoder = newDecoder(looping);
      const abort = new AbortController();
      const aborted = play(decoder, {
        signal: abort.signal,
        after: () => {
          abort.abort(new Error("enough"));
          return false;
        },
      });
      await expect(aborted).rejects.toThrow("enough");
      const { expected } = await both({});
      expect((await play(decoder)).tokens).toEqual(expected.tokens);
      decoder.dispose();
    });

    it("of two sessions run beside each other", async () => {
      const [one, two] = [newDecoder(looping), newDecoder(looping)];
      const sampling = { temperature: 0.8 };
      const [a, b] = await Promise.all([play(one), play(two, { sampling })]);
      expect(a).toEqual((await both({})).expected);
      expect(b).toEqual((await both({ sampling })).expected);
      one.dispose();
      two.dispose();
    });

    it("keep the session's other work waiting until they are read", async () => {
      const session = looping.weights.session({ capacity: contextLength + 80 });
      const step = session.compile(buildStep(model, drafter, tree));
      const { sampling, seed } = stepInputs();
      const inputs = { sampling, seed: BigUint64Array.of(seed) };
      const loop = await step.loop?.(inputs, { length: 0, lastLength: 40, stopTokens: [] });
      const order: string[] = [];
      const run = Promise.resolve(step.run(inputs)).then(() => order.push("run"));
      while ((await loop?.next()) !== undefined) order.push("loop");
      await run;
      expect(order).toEqual(["loop", "loop", "loop", "loop", "loop", "run"]);
      session.dispose();
    });

    it("fail as the session does when it is disposed of meanwhile", async () => {
      const session = looping.weights.session({ capacity: contextLength + 80 });
      const step = session.compile(buildStep(model, drafter, tree));
      const { sampling, seed } = stepInputs();
      const inputs = { sampling, seed: BigUint64Array.of(seed) };
      const loop = await step.loop?.(inputs, { length: 0, lastLength: 40, stopTokens: [] });
      await loop?.next();
      session.dispose();
      await expect(loop?.next()).rejects.toMatchObject({ code: "executor/disposed" });
      loop?.stop();
    });

    it("are launched one by one where the driver knows no loops or refuses this one", async () => {
      const { expected } = await both({});
      const refusals: Partial<CudaDriver>[] = [
        { supports: (feature) => feature !== "conditional-nodes" },
        {
          streamBeginCaptureToGraph: () => {
            throw cudaError("CUDA_ERROR_NOT_SUPPORTED", "cuStreamBeginCaptureToGraph");
          },
        },
      ];
      for (const refusal of refusals) {
        const opened = await open(5, (driver) => overriding(driver, refusal));
        const decoder = newDecoder(opened);
        await decoder.prepare(prompt.length, [tree]);
        expect(await play(decoder)).toEqual(expected);
        expect(opened.launches()).toBe(1 + expected.paths.length);
        decoder.dispose();
        await opened.close();
      }
    });

    it("never overrun the ring, however many run at once and however slow the reader is", async () => {
      const { expected } = await both({ maxNewTokens: 48 });
      const dice = new Random(99);
      for (const [loopRuns, capability] of [
        [dice.int(2, 12), "9.0"],
        [1000, "8.0"],
      ] as const) {
        const opened = await open(loopRuns, undefined, capability);
        const decoder = newDecoder(opened);
        const got = await play(decoder, {
          maxNewTokens: 48,
          after: async () => {
            for (let turns = dice.int(0, 3); turns > 0; turns--) await new Promise(setImmediate);
            return false;
          },
        });
        expect(got).toEqual(expected);
        decoder.dispose();
        await opened.close();
      }
    });
  },
);

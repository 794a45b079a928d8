import { afterAll, describe, expect, it } from "vitest";
import { type AcceptOp, accept, needsLogits, partsOfRow } from "../../kernels/accept/accept.ts";
import { elementsOf, KernelEntry } from "../../kernels/entry.ts";
import { samplingFields } from "../../src/ir/op.ts";
import { evaluateAccept } from "../../src/ir/reference/evaluate-accept.ts";
import { argmax, greedySampling, sampleRow } from "../../src/ir/reference/sampling.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { KernelLab, type LabBuffer } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

const buffers = {
  logits: 0,
  partialValues: 1,
  partialIds: 2,
  tokens: 3,
  parents: 4,
  length: 5,
  history: 6,
  sampling: 7,
  seed: 8,
  path: 9,
  count: 10,
  following: 11,
};
const firstScratch = 100;

type Settings = Partial<Record<(typeof samplingFields)[number], number>>;

interface Case {
  readonly rule: "match" | "typical";
  /** [nodes][vocabulary] */
  readonly logits: readonly Float32Array[];
  readonly tokens: Int32Array;
  readonly parents: Int32Array;
  readonly history: Int32Array;
  readonly length: number;
  readonly settings: Settings;
  readonly seed: bigint;
  /** Ids of the tiles whose best the LM head left. */
  readonly tileWidth: number;
}

const off: Record<(typeof samplingFields)[number], number> = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  posteriorThreshold: 0.3,
  posteriorAlpha: 0.09,
};
const numbers = (settings: Settings): Float32Array =>
  Float32Array.from(samplingFields, (name) => settings[name] ?? off[name]);

/** Parents before children, shallow before deep, and some padding. */
function randomParents(random: Random, nodes: number, hasPadding: boolean): Int32Array {
  const parents = [-1];
  while (parents.length < nodes) parents.push(random.int(0, parents.length - 1));
  const depth = (node: number): number => (node <= 0 ? 0 : 1 + depth(parents[node] ?? -1));
  const order = parents.map((_, node) => node).sort((a, b) => depth(a) - depth(b) || a - b);
  return Int32Array.from(order, (node, at) => {
    if (hasPadding && at > nodes / 2 && random.next() < 0.2) return -2;
    return node === 0 ? -1 : order.indexOf(parents[node] ?? -1);
  });
}

/** A tree whose nodes often hold likely tokens, so that walks are long. */
function randomCase(
  seed: number,
  nodes: number,
  vocabulary: number,
  more: Partial<Case> = {},
): Case {
  const random = new Random(seed);
  const parents = more.parents ?? randomParents(random, nodes, seed % 3 === 0);
  const isTied = seed % 2 === 1;
  const logits = Array.from({ length: nodes }, () =>
    random.normals(vocabulary, 3).map((value) => (isTied ? Math.round(value) : value)),
  );
  const tokens = Int32Array.from(parents, (parent) => {
    const above = logits[parent];
    if (above === undefined || random.next() < 0.3) return random.int(0, vocabulary - 1);
    return sampleRow(above, [], { ...greedySampling, temperature: 0.7 }, random.int(0, 1e6));
  });
  const length = random.int(1, 40);
  return {
    rule: "match",
    logits,
    tokens,
    parents,
    history: Int32Array.from({ length: 64 }, () => random.int(0, vocabulary - 1)),
    length,
    settings: {},
    seed: BigInt(random.int(0, 2 ** 31)) * 0x1_2345_6789n,
    tileWidth: seed % 4 < 2 ? 16 : 128,
    ...more,
  };
}

function opOf(of: Case): AcceptOp {
  const vocabulary = of.logits[0]?.length ?? 0;
  return {
    rule: of.rule,
    logits: buffers.logits,
    partialValues: buffers.partialValues,
    partialIds: buffers.partialIds,
    tiles: Math.ceil(vocabulary / of.tileWidth),
    tileWidth: of.tileWidth,
    vocabulary,
    nodes: of.parents.length,
    tokens: elementsOf(buffers.tokens, "int", "tokens"),
    parents: elementsOf(buffers.parents, "int", "parents"),
    length: elementsOf(buffers.length, "int", "length"),
    history: elementsOf(buffers.history, "int", "history"),
    sampling: elementsOf(buffers.sampling, "float", "sampling"),
    seed: elementsOf(buffers.seed, "u64", "seed"),
    pathLength: pathLengthOf(of),
    path: buffers.path,
    count: buffers.count,
    following: buffers.following,
    label: "accept",
  };
}

function depthOf({ parents }: Case, node: number): number {
  let depth = 0;
  for (let at = parents[node] ?? -1; at >= 0; at = parents[at] ?? -1) depth++;
  return depth;
}
const pathLengthOf = (of: Case): number =>
  1 + Math.max(...Array.from(of.parents.keys(), (node) => depthOf(of, node)));

/** What `accept` launches, and the scratch memory it asked for. */
function callsOf(of: Case, multiprocessors = 132) {
  const scratch: LabBuffer[] = [];
  const calls = accept(
    opOf(of),
    { multiprocessors },
    {
      scratch: (bytes) => firstScratch - 1 + scratch.push({ bytes }),
      counters: (count) => firstScratch - 1 + scratch.push(new Int32Array(count)),
    },
  );
  return { calls, scratch };
}

describe("the accept kernels' text", () => {
  const texts = (of: Case) => callsOf(of).calls.map(({ kernel }) => kernel.source);

  it("of sampling has the vocabulary and its tiles, and walks by what it draws", () => {
    const [sample] = texts(randomCase(1, 5, 1000));
    expect(sample).toMatchInlineSnapshot(`
      "// Draws a token after each node of a tree from 1000 logits and walks by them.
      #include "prelude/all.cuh"
      #include "kernels/accept/sample.cuh"

      struct Config {
        static constexpr int kVocabulary = 1000;
        static constexpr int kTiles = 63;
        static constexpr int kTileWidth = 16;
        static constexpr int kThreads = 256;
      };

      extern "C" __global__ void __launch_bounds__(256, 2)
      accept_sample_1000_477a8a(const float* sampling, const float* logits, int nodes, const int* tokens, const int* parents, const int* history, const int* length, const u64* seed, u64* masses, u32* summaries, Candidate* lists, int* counters, int* draws, int path_length, int* path, int* count, int* following, const float* best_values, const int* best_ids) {
        grid_launch_dependents();
        grid_dependency_wait();
        const Sampling settings{sampling[0], sampling[1], sampling[2], sampling[3], sampling[4], sampling[5], sampling[6]};
        const AcceptedPath out{path_length, path, count, following};
        sample<Config>(logits, best_values, best_ids, settings, seed[0], nodes, length[0],
                       [&](int node) { return tokens[node]; }, [&](int node) { return parents[node]; },
                       [&](int slot) { return history[slot]; }, masses, summaries, lists, counters, draws, out);
      }
      "
    `);
  });

  it("of the typical rule are for weights, gains and the walk, which is greedy at a temperature of 0", () => {
    const [weights, gains, walk] = texts(randomCase(2, 5, 1000, { rule: "typical" }));
    expect(weights).toContain("typical_weights<Config>(logits, best_values, best_ids, settings");
    expect(gains).toContain("typical_gains<Config>(logits, settings, nodes");
    expect(walk).toMatchInlineSnapshot(`
      "// Finds the longest path of passing nodes in a token tree; greedy at a temperature of 0.
      #include "prelude/all.cuh"
      #include "kernels/accept/walk.cuh"



      extern "C" __global__ void __launch_bounds__(32)
      accept_walk_typical_64_86272e(int nodes, const int* tokens, const int* parents, const float* sampling, const int* draws, const double* gains, int path_length, int* path, int* count, int* following) {
        grid_launch_dependents();
        grid_dependency_wait();
        const AcceptedPath out{path_length, path, count, following};
        __shared__ WalkShared<64> shared;
        if (sampling[0] == 0.0f) {
          walk_match<32>(draws, nodes, [&](int node) { return tokens[node]; }, [&](int node) { return parents[node]; }, out, shared.tree);
        } else {
          walk_typical<64>(draws, gains, nodes, [&](int node) { return tokens[node]; }, [&](int node) { return parents[node]; }, out, shared);
        }
      }
      "
    `);
  });

  it("does not depend on how many nodes there are", () => {
    for (const rule of ["match", "typical"] as const) {
      const all = [1, 7, 64].map((nodes) => texts(randomCase(4, nodes, 100, { rule })).join());
      expect(new Set(all).size).toBe(1);
    }
  });

  it("fills the device with two blocks to a multiprocessor, while a warp has a chunk of logits", () => {
    const parts = (nodes: number, vocabulary: number) =>
      partsOfRow(nodes, vocabulary, { multiprocessors: 132 });
    expect([1, 64, 132, 500].map((nodes) => parts(nodes, 128_256))).toEqual([32, 4, 2, 1]);
    expect([1, 64].map((nodes) => parts(nodes, 32_000))).toEqual([8, 4]);
    expect(parts(1, 2000)).toBe(1);
  });

  it("asks for logits where more than the largest decides", () => {
    const sampling = elementsOf(buffers.sampling, "float", "sampling");
    expect(needsLogits("match", sampling)(new KernelEntry("linear"))).toBe(
      "(sampling[0] > 0.0f || sampling[4] != 1.0f)",
    );
    expect(needsLogits("typical", sampling)(new KernelEntry("linear"))).toBe(
      "(sampling[0] > 0.0f)",
    );
  });
});

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("accepts", () => {}));

describe.skipIf(installedNvrtc().length === 0)("acceptance on the emulator", async () => {
  const lab = installedNvrtc().length === 0 ? undefined : await KernelLab.open({ seed: 5 });
  afterAll(() => lab?.close());

  function run(of: Case, multiprocessors?: number) {
    if (lab === undefined) throw new Error(NO_NVRTC);
    const vocabulary = of.logits[0]?.length ?? 0;
    const nodes = of.parents.length;
    const pathLength = pathLengthOf(of);
    const width = of.tileWidth;
    const best = of.logits.flatMap((row) =>
      Array.from({ length: Math.ceil(vocabulary / width) }, (_, tile) => {
        const part = row.subarray(width * tile, width * (tile + 1));
        const at = argmax(part);
        return at < 0
          ? { value: Number.NEGATIVE_INFINITY, id: width * tile }
          : { value: part[at] ?? 0, id: width * tile + at };
      }),
    );
    const { calls, scratch } = callsOf(of, multiprocessors);
    const { temperature = 0, repetitionPenalty = 1 } = of.settings;
    const hasLogits = temperature > 0 || (of.rule === "match" && repetitionPenalty !== 1);
    const after = lab.run(
      calls,
      new Map<number, LabBuffer>([
        [
          buffers.logits,
          hasLogits
            ? Float32Array.from(of.logits.flatMap((row) => [...row]))
            : { bytes: nodes * vocabulary * 4 },
        ],
        [buffers.partialValues, Float32Array.from(best, ({ value }) => value)],
        [buffers.partialIds, Int32Array.from(best, ({ id }) => id)],
        [buffers.tokens, of.tokens],
        [buffers.parents, of.parents],
        [buffers.length, Int32Array.of(of.length)],
        [buffers.history, of.history],
        [buffers.sampling, numbers(of.settings)],
        [buffers.seed, BigUint64Array.of(of.seed)],
        [buffers.path, { bytes: 4 * pathLength }],
        [buffers.count, { bytes: 4 }],
        [buffers.following, { bytes: 4 * pathLength }],
        ...scratch.map((buffer, i): [number, LabBuffer] => [firstScratch + i, buffer]),
      ]),
    );
    expect(lab.findings()).toEqual([]);
    const ints = (id: number): Int32Array => new Int32Array(after.get(id)?.buffer ?? []);
    return {
      path: ints(buffers.path),
      count: ints(buffers.count)[0] ?? -1,
      following: ints(buffers.following),
      draws: ints(firstScratch),
    };
  }

  function reference(of: Case) {
    return evaluateAccept(
      of.rule === "match" ? "accept_match" : "accept_typical",
      {
        logitsOf: (node) => of.logits[node] ?? new Float32Array(),
        tokens: of.tokens,
        parents: of.parents,
        length: of.length,
        history: of.history,
        sampling: numbers(of.settings),
        seed: of.seed,
      },
      pathLengthOf(of),
    );
  }

  /** The token plain decoding would draw after each node. */
  function referenceDraws(of: Case): number[] {
    const [temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1] = numbers(
      of.settings,
    );
    const params = { temperature, topK, topP, minP, repetitionPenalty, seed: of.seed };
    return Array.from(of.parents, (parent, node) => {
      if (node > 0 && parent < 0) return -1;
      const before = [...of.history.subarray(0, of.length)];
      for (let at = node; at >= 0; at = of.parents[at] ?? -1) before.push(of.tokens[at] ?? 0);
      const position = of.length + depthOf(of, node) + 1;
      return sampleRow(of.logits[node] ?? new Float32Array(), before, params, position);
    });
  }

  function check(of: Case): void {
    const { draws, ...results } = run(of);
    expect(results).toEqual(reference(of));
    if (of.rule === "match") expect([...draws]).toEqual(referenceDraws(of));
  }

  const settings: Settings[] = [
    {},
    { repetitionPenalty: 1.3 },
    { temperature: 1 },
    { temperature: 0.4, repetitionPenalty: 1.2 },
    { temperature: 1.5, topK: 5 },
    { temperature: 1, topK: 1 },
    { temperature: 1, topP: 0.9 },
    { temperature: 2, topP: 0.3 },
    { temperature: 0.8, topP: 0.02 },
    { temperature: 1, minP: 0.1 },
    { temperature: 1, minP: 1 },
    { temperature: 1, topK: 20, topP: 0.8, minP: 0.05, repetitionPenalty: 0.9 },
    { temperature: 30, topK: 100_000, topP: 0.999 },
    { temperature: 1e-3, topK: 40, topP: 0.95 },
  ];

  it.each(settings)("draws what the reference draws with %o", (setting) => {
    for (const [seed, nodes, vocabulary] of [
      [1, 20, 50],
      [2, 12, 1031],
      [3, 30, 333],
    ] as const) {
      check(randomCase(seed, nodes, vocabulary, { settings: setting }));
    }
  });

  it("draws what the reference draws from one large row, with and without ties", () => {
    for (const seed of [2, 3]) {
      check(
        randomCase(seed, 2, 40_003, {
          settings: { temperature: 1.1, topK: 3000, topP: 0.7, repetitionPenalty: 1.1 },
        }),
      );
    }
  });

  it("draws what the reference draws by top-p alone, whether few logits matter or nearly all", () => {
    for (const temperature of [0.3, 30]) {
      const settings = { temperature, topP: 0.9, minP: 0.001 };
      check(randomCase(4, 3, 40_003, { settings }));
    }
  });

  it("draws the same however many blocks share a row", () => {
    for (const setting of [{ temperature: 1 }, { temperature: 1, topP: 0.8 }]) {
      const of = randomCase(6, 5, 40_003, { settings: { ...setting, repetitionPenalty: 1.2 } });
      const [one, few, many] = [1, 12, 1000].map((multiprocessors) => run(of, multiprocessors));
      expect(few).toEqual(one);
      expect(many).toEqual(one);
    }
  });

  it("has softmax weights right to 2e-9, and below 1 for all but the largest", () => {
    if (lab === undefined) throw new Error(NO_NVRTC);
    const random = new Random(11);
    const count = 4096;
    const bits = 46;
    for (const [largest, temperature] of [
      [17.25, 1],
      [-3.1, 0.7],
      [1e-3, 3],
      [40, 1e-2],
    ] as const) {
      const logits = Float32Array.from({ length: count }, (_, i) =>
        i < 64
          ? largest - i * 2 ** -24 * Math.abs(largest)
          : largest - temperature * 45 * random.next(),
      );
      const entry = new KernelEntry("accept");
      const [from, out] = [
        entry.buffer("logits", 0, "float", "read"),
        entry.buffer("weights", 1, "u64", "write"),
      ];
      const [top, warmth] = [entry.f32("largest", largest), entry.f32("temperature", temperature)];
      const call = entry.finish({
        name: "softmax_weights",
        comment: "Softmax weights alone.",
        includes: ["kernels/accept/softmax.cuh"],
        config: "",
        body: `
const int i = blockIdx.x * blockDim.x + threadIdx.x;
static_assert(weight_bits(1 << 16) == ${bits} && weight_bits((1 << 16) + 1) == ${bits - 1}, "bits");
${out}[i] = Softmax<${bits}>(${top}, ${warmth}).weight(${from}[i]);`,
        threads: 256,
        grid: [count / 256, 1, 1],
        label: "weights",
        traffic: { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 },
      });
      const after = lab.run(
        [call],
        new Map<number, LabBuffer>([
          [0, logits],
          [1, { bytes: count * 8 }],
        ]),
      );
      expect(lab.findings()).toEqual([]);
      const weights = new BigUint64Array(after.get(1)?.buffer ?? []);
      for (const [i, logit] of logits.entries()) {
        const distance = Math.fround(largest) - logit;
        const exact = Math.exp(-distance / Math.fround(temperature)) * 2 ** bits;
        const weight = Number(weights[i]);
        const isRight =
          Math.abs(weight - exact) <= 2e-9 * exact + 0.5 && weight < 2 ** bits === distance > 0;
        expect([i, weight, exact, isRight]).toEqual([i, weight, exact, true]);
      }
    }
  });

  it("walks long paths", () => {
    const counts = [1, 2, 3, 4, 5].map((seed) => reference(randomCase(seed, 40, 20)).count);
    expect(Math.max(...counts)).toBeGreaterThan(3);
    for (const seed of [1, 2, 3, 4, 5]) check(randomCase(seed, 40, 20));
  });

  it("goes on with the first of two children that hold the token", () => {
    const row = Float32Array.from({ length: 20 }, (_, id) => (id === 1 ? 5 : 0));
    const of: Case = {
      ...randomCase(1, 1, 20),
      logits: [row, row, row, row, row],
      tokens: Int32Array.of(0, 2, 1, 1, 1),
      parents: Int32Array.of(-1, 0, 0, 0, 3),
    };
    expect(run(of)).toMatchObject({ count: 2, path: Int32Array.of(0, 2, 0) });
    check(of);
  });

  it("takes NaN for -Infinity and infinities for what they are", () => {
    const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
    const rows = [
      [nan, 1, nan, 1.5, -infinity],
      [2, infinity, nan, infinity, 3, infinity],
      [-infinity, nan, -infinity, -1e38],
      [3e38, -3e38, 0, 3e38, -0],
    ].map((row) => Float32Array.from({ length: 20 }, (_, id) => row[id] ?? nan));
    for (const setting of [
      {},
      { temperature: 1 },
      { temperature: 1, topK: 2 },
      { temperature: 1, topK: 5, topP: 0.9 },
      { temperature: 0.5, repetitionPenalty: 2 },
    ]) {
      for (const seed of [0, 3]) {
        check({
          ...randomCase(seed, 1, 20),
          logits: rows,
          tokens: Int32Array.of(0, 1, 3, 5),
          parents: Int32Array.of(-1, 0, 0, 1),
          settings: setting,
          seed: BigInt(seed + 7),
        });
      }
    }
  });

  it("accepts nothing where a visited node leaves no choice", () => {
    const none = new Float32Array(20).fill(Number.NaN);
    none[4] = Number.NEGATIVE_INFINITY;
    const row = Float32Array.from({ length: 20 }, (_, id) => (id === 7 ? 9 : 0));
    for (const rule of ["match", "typical"] as const) {
      for (const temperature of [0, 1e-2]) {
        for (const tileWidth of [8, 32]) {
          const of: Case = {
            ...randomCase(1, 1, 20),
            rule,
            logits: [row, none, none, row],
            tokens: Int32Array.of(3, 7, 8, 7),
            parents: Int32Array.of(-1, 0, 0, 1),
            settings: { temperature },
            tileWidth,
          };
          expect(run(of)).toMatchObject({
            count: 0,
            path: new Int32Array(3),
            following: new Int32Array(3),
          });
          // Not visited: of no matter.
          const elsewhere = { ...of, tokens: Int32Array.of(3, 6, 8, 7) };
          expect(run(elsewhere)).toMatchObject({ count: 1, following: Int32Array.of(7, 0, 0) });
        }
      }
    }
  });

  it("draws the same after a node in trees of 1, 2, 7, 33 and 64 nodes", () => {
    const setting = { temperature: 1, topP: 0.9, repetitionPenalty: 1.2 };
    const all = randomCase(8, 64, 70, { settings: setting });
    const draws = run(all).draws;
    for (const nodes of [1, 2, 7, 33]) {
      const part: Case = {
        ...all,
        logits: all.logits.slice(0, nodes),
        tokens: all.tokens.slice(0, nodes),
        parents: all.parents.slice(0, nodes),
      };
      expect(run(part).draws).toEqual(draws.slice(0, nodes));
    }
  });

  it.each<Settings>([
    { temperature: 0 },
    { temperature: 1 },
    { temperature: 0.7, posteriorThreshold: 0.09, posteriorAlpha: 0.3 },
    { temperature: 2, posteriorThreshold: 0.01, posteriorAlpha: 0.05 },
    { temperature: 1, posteriorThreshold: 0, posteriorAlpha: 0 },
  ])("accepts by the typical rule as the reference does with %o", (setting) => {
    for (const [seed, nodes, vocabulary] of [
      [1, 40, 20],
      [2, 33, 1031],
      [3, 64, 20],
      [4, 100, 20],
      [5, 70, 20],
    ] as const) {
      check(randomCase(seed, nodes, vocabulary, { rule: "typical", settings: setting }));
    }
  });
});

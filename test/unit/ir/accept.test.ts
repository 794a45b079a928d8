import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  acceptMatch,
  acceptTypical,
  type TokenTree,
  type TypicalParams,
} from "../../../src/ir/reference/accept.ts";
import {
  argmax,
  greedySampling,
  Sampler,
  type SamplingParams,
  sampleRow,
} from "../../../src/ir/reference/sampling.ts";
import { exactDistribution, testRandom } from "./sampling-oracle.ts";

/** A made-up model: the logits after a context are a fixed function of it. */
function logitsAfter(context: readonly number[], vocabulary: number, sharpness = 4): Float32Array {
  let hash = 0x811c9dc5;
  for (const token of context) hash = Math.imul(hash ^ (token + 1), 0x01000193) >>> 0;
  const random = testRandom(hash);
  return Float32Array.from({ length: vocabulary }, () => sharpness * random());
}

function contextOf({ parents, tokens }: TokenTree, node: number): number[] {
  const context: number[] = [];
  for (let at = node; at >= 0; at = parents[at] ?? -1) context.unshift(tokens[at] ?? 0);
  return context;
}

/** Random trees in node order, with random tokens: siblings may hold the same one. */
function arbitraryTokenTree(vocabulary: number, maxNodes: number): fc.Arbitrary<TokenTree> {
  return fc
    .array(fc.tuple(fc.nat(1000), fc.nat(vocabulary - 1)), { minLength: 1, maxLength: maxNodes })
    .map((grown) => {
      const nodes: { parent: number; depth: number; token: number; at: number }[] = [];
      for (const [at, [pick, token]] of grown.entries()) {
        const parent = at === 0 ? -1 : pick % at;
        nodes.push({ parent, depth: (nodes[parent]?.depth ?? -1) + 1, token, at });
      }
      const sorted = nodes.toSorted((a, b) => a.depth - b.depth || a.at - b.at);
      const placeOf = new Map(sorted.map(({ at }, place) => [at, place]));
      return {
        parents: Int32Array.from(sorted, ({ parent }) => placeOf.get(parent) ?? -1),
        tokens: Int32Array.from(sorted, ({ token }) => token),
      };
    });
}

const vocabulary = 5;
const arbitrarySampling = fc.record({
  temperature: fc.constantFrom(0, 0.7, 1, 1.5),
  topK: fc.constantFrom(0, 2, 4),
  topP: fc.constantFrom(1, 0.7),
  minP: fc.constantFrom(0, 0.2),
  repetitionPenalty: fc.constantFrom(1, 1.4),
  seed: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
});

describe("sample-and-match", () => {
  const line = (tokens: number[]): TokenTree => ({
    parents: Int32Array.from(tokens, (_, i) => i - 1),
    tokens: Int32Array.from(tokens),
  });
  const peak = (token: number) => Float32Array.from({ length: 4 }, (_, id) => Number(id === token));

  test("accepts drafts while they are what the model says, then gives the model's next", () => {
    const says = [1, 2, 0];
    const result = acceptMatch(line([3, 1, 3]), (node) => peak(says[node] ?? 0), greedySampling, {
      length: 0,
    });
    expect(result).toEqual({ path: [0, 1], next: 2 });
  });

  test("gives one more token after a fully accepted path", () => {
    const result = acceptMatch(line([3, 1, 2]), (node) => peak(node + 1), greedySampling, {
      length: 0,
    });
    expect(result).toEqual({ path: [0, 1, 2], next: 3 });
  });

  test("asks only for the rows it walks through", () => {
    const asked: number[] = [];
    const tree = { parents: Int32Array.of(-1, 0, 0, 1, 2), tokens: Int32Array.of(0, 1, 2, 3, 3) };
    const rows = (node: number) => {
      asked.push(node);
      return peak(node === 0 ? 2 : 1);
    };
    expect(acceptMatch(tree, rows, greedySampling, { length: 0 }).path).toEqual([0, 2]);
    expect(asked).toEqual([0, 2]);
  });

  test("takes the first of siblings with the same token", () => {
    const tree = { parents: Int32Array.of(-1, 0, 0), tokens: Int32Array.of(0, 1, 1) };
    const { path } = acceptMatch(tree, () => peak(1), greedySampling, { length: 0 });
    expect(path).toEqual([0, 1]);
  });

  test("never accepts padding", () => {
    const tree = { parents: Int32Array.of(-1, -1, -2), tokens: Int32Array.of(0, 1, 1) };
    expect(acceptMatch(tree, () => peak(1), greedySampling, { length: 0 }).path).toEqual([0]);
  });

  test("draws the token after node n for position length + depth(n) + 1", () => {
    const positions: number[] = [];
    const sampler = new Sampler((_, position) => {
      positions.push(position);
      return 0;
    });
    const params = { ...greedySampling, temperature: 1 };
    acceptMatch(line([2, 0, 0]), () => peak(0), params, { length: 10 }, sampler);
    expect(positions).toEqual([11, 12, 13]);
  });

  test("writes exactly what plain sampling with the same seed writes, whatever is drafted", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(vocabulary - 1), { maxLength: 5 }),
        fc.array(arbitraryTokenTree(vocabulary, 14), { minLength: 1, maxLength: 6 }),
        arbitrarySampling,
        (prompt, trees, params: SamplingParams) => {
          const rule = (context: number[]) =>
            sampleRow(logitsAfter(context, vocabulary), context, params, context.length);
          const wanted = prompt.length + 20;
          const plain = [...prompt];
          while (plain.length < wanted) plain.push(rule(plain));

          const text = [...prompt];
          const sampler = new Sampler();
          let root = rule(text);
          for (let step = 0; text.length < wanted; step++) {
            const drafted = trees[step % trees.length] as TokenTree;
            const tree = { ...drafted, tokens: drafted.tokens.with(0, root) };
            const { path, next } = acceptMatch(
              tree,
              (node) => logitsAfter([...text, ...contextOf(tree, node)], vocabulary),
              params,
              { length: text.length, committed: text },
              sampler,
            );
            for (const node of path) text.push(tree.tokens[node] ?? 0);
            root = next;
          }
          expect(text.slice(0, wanted)).toEqual(plain);
        },
      ),
      { seed: 5, numRuns: 200 },
    );
  });

  test("has the product law, by enumeration of every outcome over three tokens", () => {
    const random = testRandom(17);
    const size = 3;
    for (let round = 0; round < 40; round++) {
      const [tree] = fc.sample(arbitraryTokenTree(size, 9), { seed: round, numRuns: 1 });
      if (tree === undefined) throw new Error("no tree");
      const params = {
        ...greedySampling,
        temperature: 0.5 + random(),
        topK: round % 3 === 0 ? 2 : 0,
        seed: BigInt(round),
      };
      const law = (context: number[]): number[] => {
        const logits = Array.from(logitsAfter([round, ...context], size));
        return exactDistribution(logits, [], params);
      };
      const root = tree.tokens[0] ?? 0;
      const emitted = new Map<string, number>();
      // Every triple of outcomes; a draw's number is the middle of its outcome's interval.
      for (let outcome = 0; outcome < size ** 3; outcome++) {
        const tokens = [outcome % 3, Math.floor(outcome / 3) % 3, Math.floor(outcome / 9)];
        let weight = 1;
        const numbers = tokens.map((token, index) => {
          const p = law([root, ...tokens.slice(0, index)]);
          weight *= p[token] ?? 0;
          return p.slice(0, token).reduce((sum, value) => sum + value, (p[token] ?? 0) / 2);
        });
        if (weight === 0) continue;
        const capped = capDepth(tree, 2);
        const { path, next } = acceptMatch(
          capped,
          (node) => logitsAfter([round, ...contextOf(capped, node)], size),
          params,
          { length: 0 },
          new Sampler((_, position) => numbers[position - 1] ?? 0),
        );
        const text = [...path.slice(1).map((node) => capped.tokens[node] ?? 0), next];
        expect(text).toEqual(tokens.slice(0, text.length));
        const key = text.join();
        emitted.set(key, (emitted.get(key) ?? 0) + weight);
      }
      for (const [key, weight] of emitted) {
        const text = key.split(",").map(Number);
        const product = text.reduce(
          (p, token, index) => p * (law([root, ...text.slice(0, index)])[token] ?? 0),
          1,
        );
        expect(weight).toBeCloseTo(product, 12);
      }
    }
  });
});

function capDepth({ parents, tokens }: TokenTree, limit: number): TokenTree {
  const depths: number[] = [];
  for (const parent of parents) depths.push((depths[parent] ?? -1) + 1);
  const size = depths.filter((depth) => depth <= limit).length;
  return { parents: parents.slice(0, size), tokens: tokens.slice(0, size) };
}

interface TypicalInstance {
  readonly choices: number[][];
  readonly retrieve_indices: number[][];
  readonly max_accepts: number[];
  readonly tree_tokens: number[];
  readonly tree_logits: number[][];
  readonly best_candidate: number;
  readonly accept_length: number;
  readonly greedy_best_candidate: number;
  readonly greedy_accept_length: number;
}

interface TypicalFile {
  readonly temperature: number;
  readonly posterior_threshold: number;
  readonly posterior_alpha: number;
  readonly instances: TypicalInstance[];
}

describe("the original's acceptance", () => {
  const fixture = new URL("../../fixtures/golden/V6-buffers-typical/typical.json", import.meta.url);
  const golden = JSON.parse(readFileSync(fixture, "utf8")) as TypicalFile;
  const typical: TypicalParams = {
    temperature: golden.temperature,
    posteriorThreshold: golden.posterior_threshold,
    posteriorAlpha: golden.posterior_alpha,
  };
  const prepared = golden.instances.map((instance) => {
    const parents = new Int32Array(instance.tree_tokens.length).fill(-1);
    for (const row of instance.retrieve_indices) {
      for (const [depth, node] of row.entries()) {
        if (depth > 0 && node >= 0) parents[node] = row[depth - 1] ?? -1;
      }
    }
    const tree = { parents, tokens: Int32Array.from(instance.tree_tokens) };
    const logitsOf = (node: number) => Float32Array.from(instance.tree_logits[node] ?? []);
    const row = (index: number, length: number) =>
      instance.retrieve_indices[index]?.slice(0, length + 1);
    return { instance, tree, logitsOf, row };
  });

  test.each(prepared)("typical rule, instance %#", ({ instance, tree, logitsOf, row }) => {
    const { path, next } = acceptTypical(tree, logitsOf, typical);
    expect(path).toEqual(row(instance.best_candidate, instance.accept_length));
    expect(next).toBe(argmax(logitsOf(path.at(-1) ?? 0)));
  });

  test.each(prepared)("greedy rule, instance %#", ({ instance, tree, logitsOf, row }) => {
    const { path, next } = acceptMatch(tree, logitsOf, greedySampling, { length: 0 });
    expect(path).toEqual(row(instance.greedy_best_candidate, instance.greedy_accept_length));
    expect(next).toBe(argmax(logitsOf(path.at(-1) ?? 0)));
    expect(acceptTypical(tree, logitsOf, { ...typical, temperature: 0 })).toEqual({ path, next });
  });
});

/** Typical acceptance row by row, as the original computes it. */
function typicalByRows(
  { parents, tokens }: TokenTree,
  rows: readonly Float32Array[],
  { temperature, posteriorThreshold, posteriorAlpha }: TypicalParams,
): number[] {
  const leaves = Array.from(parents.keys())
    .filter((node) => !parents.includes(node))
    .reverse();
  const depth = Math.max(...leaves.map((leaf) => contextOf({ parents, tokens }, leaf).length));
  let best: { path: number[]; score: number } | undefined;
  const candidates = leaves.map((leaf) => {
    const path: number[] = [];
    for (let at = leaf; at >= 0; at = parents[at] ?? -1) path.unshift(at);
    // Padding takes the last node's token and logits; the path's real length guards against it.
    const padded = [...path, ...Array<number>(depth - path.length).fill(parents.length - 1)];
    const logs: number[] = [];
    for (const [index, node] of padded.entries()) {
      if (index === 0) continue;
      const logits = Array.from(rows[padded[index - 1] ?? 0] ?? []);
      const p = exactDistribution(logits, [], { ...greedySampling, temperature });
      const entropy = -p.reduce((sum, value) => sum + value * Math.log(value + 1e-5), 0);
      const threshold = Math.min(posteriorThreshold, posteriorAlpha * Math.exp(-entropy));
      const probability = p[tokens[node] ?? 0] ?? 0;
      if (!(probability > threshold)) break;
      logs.push(Math.log(probability));
    }
    return { path, logs, length: Math.min(logs.length, path.length - 1) };
  });
  const accept = Math.max(...candidates.map(({ length }) => length));
  for (const { path, logs, length } of candidates) {
    if (length !== accept) continue;
    const score = logs.slice(0, accept).reduce((sum, log) => sum + log, 0);
    if (best === undefined || score > best.score + 1e-12) {
      best = { path: path.slice(0, accept + 1), score };
    }
  }
  return best?.path ?? [0];
}

describe("typical acceptance", () => {
  test("agrees with the original's way of computing it on random trees", () => {
    const arbitrary = fc.tuple(arbitraryTokenTree(vocabulary, 25), fc.nat(1e6));
    fc.assert(
      fc.property(arbitrary, fc.constantFrom(0.4, 1), ([tree, salt], temperature) => {
        const rows = Array.from(tree.tokens, (_, node) =>
          logitsAfter([salt, ...contextOf(tree, node)], vocabulary, 5),
        );
        const params = { temperature, posteriorThreshold: 0.09, posteriorAlpha: 0.3 };
        const { path } = acceptTypical(tree, (node) => rows[node] ?? new Float32Array(), params);
        expect(path).toEqual(typicalByRows(tree, rows, params));
      }),
      { seed: 8, numRuns: 300 },
    );
  });

  test("takes nothing that the model finds unlikely", () => {
    const tree = { parents: Int32Array.of(-1, 0), tokens: Int32Array.of(0, 1) };
    const params = { temperature: 1, posteriorThreshold: 0.09, posteriorAlpha: 0.3 };
    const result = acceptTypical(tree, () => Float32Array.of(9, 0, 0), params);
    expect(result).toEqual({ path: [0], next: 0 });
  });

  test("counts entropy with 1e-5 inside the logarithm", () => {
    // 50,000 equal tokens: p = 2e-5 and exp(-H) = 3e-5; without the 1e-5 it would be 2e-5.
    const tree = { parents: Int32Array.of(-1, 0), tokens: Int32Array.of(0, 1) };
    const length = (posteriorAlpha: number) => {
      const params = { temperature: 1, posteriorThreshold: 1, posteriorAlpha };
      return acceptTypical(tree, () => new Float32Array(50_000), params).path.length;
    };
    expect(length(0.66)).toBe(2);
    expect(length(0.67)).toBe(1);
  });

  test("is an error where the model says nothing", () => {
    const tree = { parents: Int32Array.of(-1), tokens: Int32Array.of(0) };
    const params = { temperature: 1, posteriorThreshold: 0.09, posteriorAlpha: 0.3 };
    expect(() => acceptTypical(tree, () => Float32Array.of(Number.NaN), params)).toThrow(
      expect.objectContaining({ code: "sampling/no-choice" }),
    );
  });
});

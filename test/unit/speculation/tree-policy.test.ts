import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bestTree, type AcceptanceTable } from "../../../src/speculation/acceptance-table.ts";
import { autoPolicy, type AutoPolicyOptions } from "../../../src/speculation/auto-policy.ts";
import { type CostModel, StepCosts } from "../../../src/speculation/step-costs.ts";
import { rootOnly, type TreeTopology, treeFromPaths } from "../../../src/speculation/tree.ts";
import { fixedPolicy, type TreePolicy } from "../../../src/speculation/tree-policy.ts";
import { testRandom } from "../ir/sampling-oracle.ts";
import { fixed } from "./arbitrary-tree.ts";

const roomy = { length: 0, room: 1000, remaining: 1000 };
const easy: AcceptanceTable = [
  [0.8, 0.1, 0.04],
  [0.7, 0.12, 0.05],
  [0.6, 0.12, 0.05],
];
const hard: AcceptanceTable = [[0.05, 0.02, 0.01], [0.05], [0.05]];
const candidates = [3, 8, 20].map((nodes) => bestTree(easy, nodes));

/** Plain steps of 10 ms, every drafted node 2 % more. */
const tenMs = (tree: TreeTopology): number => 10 * (1 + 0.02 * (tree.size - 1));
const knownCosts = (ms = tenMs): CostModel => ({ of: ms, record: () => {} });

/** The path that a text with these acceptance probabilities takes through a tree. */
function walk(tree: TreeTopology, table: AcceptanceTable, random: () => number): number[] {
  const path = [0];
  for (let node = 0; ; ) {
    let u = random();
    const row = table[path.length - 1] ?? [];
    const child = tree.children(node).find((at) => {
      u -= row[tree.ranks[at] ?? 0] ?? 0;
      return u < 0;
    });
    if (child === undefined) return path;
    path.push(child);
    node = child;
  }
}

interface Run {
  readonly trees: readonly TreeTopology[];
  readonly tokens: number;
  readonly ms: number;
  /** Largest lead of the time spent over `share` × plain decoding's, in plain steps. */
  readonly worstLoss: number;
}

function play(
  policy: TreePolicy,
  steps: number,
  text: (tokens: number) => AcceptanceTable,
  { ms = tenMs, share = 1.02, seed = 1 } = {},
): Run {
  const random = testRandom(seed);
  const trees: TreeTopology[] = [];
  let [tokens, spent, worstLoss] = [0, 0, 0];
  for (let step = 0; step < steps; step++) {
    const tree = policy.next({ ...roomy, length: tokens });
    trees.push(tree);
    const path = walk(tree, text(tokens), random);
    policy.observe({ tree, path, ms: ms(tree), length: tokens });
    tokens += path.length;
    spent += ms(tree);
    worstLoss = Math.max(worstLoss, (spent - share * tokens * ms(rootOnly)) / ms(rootOnly));
  }
  return { trees, tokens, ms: spent, worstLoss };
}

describe("the fixed policy", () => {
  const tree = treeFromPaths([[0], [1]]);

  test("gives its tree wherever it fits, else plain decoding", () => {
    const policy = fixedPolicy(tree);
    expect(policy.next({ ...roomy, room: 3 })).toBe(tree);
    expect(policy.next({ ...roomy, room: 2 })).toBe(rootOnly);
    expect(policy.trees).toEqual([rootOnly, tree]);
    expect(fixedPolicy(rootOnly).trees).toEqual([rootOnly]);
  });
});

describe("the automatic policy", () => {
  const start = (options: Partial<AutoPolicyOptions> = {}) =>
    autoPolicy({ candidates, costs: knownCosts(), prior: easy, ...options });

  /** After the plain steps by which a text begins. */
  const settled = (options: Partial<AutoPolicyOptions> = {}, ms = tenMs) => {
    const policy = start(options);
    expect(play(policy, 3, () => easy, { ms }).trees).toEqual([rootOnly, rootOnly, rootOnly]);
    return policy;
  };

  test("decodes plainly while costs are unknown", () => {
    const { trees } = play(start({ costs: new StepCosts() }), 50, () => easy);
    expect(new Set(trees)).toEqual(new Set([rootOnly]));
  });

  test("plays trees as soon as their costs are measured", () => {
    const costs = new StepCosts();
    const policy = settled({ costs });
    expect(policy.next(roomy)).toBe(rootOnly);
    for (const tree of policy.trees) {
      for (let sample = 0; sample < 3; sample++) costs.record(tree, 0, tenMs(tree));
    }
    expect(policy.next(roomy).size).toBeGreaterThan(1);
  });

  test("is within 4 % of the best single tree on easy text", () => {
    const auto = play(start(), 3000, () => easy);
    const rates = candidates.map((tree) => {
      const run = play(fixedPolicy(tree), 3000, () => easy);
      return run.tokens / run.ms;
    });
    expect(auto.tokens / auto.ms).toBeGreaterThan(0.96 * Math.max(...rates));
    expect(auto.tokens / auto.ms).toBeGreaterThan(2 / tenMs(rootOnly));
  });

  test("finds the best tree from a prior that favours another", () => {
    const flat: AcceptanceTable = [[0.9, 0.05], [0.05], [0.05]];
    const wide = [
      [0.3, 0.25, 0.2],
      [0.3, 0.25, 0.2],
    ];
    const chain = treeFromPaths([[0], [0, 0], [0, 0, 0]]);
    const bush = treeFromPaths([[0], [1], [2], [0, 0]]);
    const policy = start({ candidates: [chain, bush], prior: flat });
    const { trees } = play(policy, 600, () => wide);
    const late = trees.slice(300);
    expect(late.filter((tree) => tree === bush).length).toBeGreaterThan(0.9 * late.length);
  });

  test.each([1.1, 1.5, 2.5, 6])(
    "loses no more than it may on hopeless text at %d plain steps a step",
    (ratio) => {
      const ms = (tree: TreeTopology) => (tree.size === 1 ? 10 : 10 * ratio);
      const policy = start({ costs: knownCosts(ms) });
      const { worstLoss } = play(policy, 4000, () => [], { ms });
      expect(worstLoss).toBeLessThanOrEqual(1 + 1e-9);
    },
  );

  test("stays within 3 % of plain decoding on 100 hopeless tokens", () => {
    const { ms, tokens } = play(start(), 100, () => []);
    expect(ms).toBeLessThanOrEqual(1.03 * tokens * tenMs(rootOnly) + 1e-9);
  });

  test("keeps its bound whatever the text, the costs and the prior", () => {
    const probability = fc.double({ min: 0, max: 0.5, noNaN: true });
    const table = fc.array(fc.array(probability, { maxLength: 2 }), { maxLength: 3 });
    fc.assert(
      fc.property(
        fc.array(table, { minLength: 1, maxLength: 5 }),
        table,
        fc.double({ min: 0.001, max: 0.5, noNaN: true }),
        fc.nat(),
        (texts, prior, perNode, seed) => {
          const ms = (tree: TreeTopology) => 1 + perNode * (tree.size - 1);
          const policy = start({ costs: knownCosts(ms), prior });
          const text = (tokens: number) => texts[Math.floor(tokens / 40) % texts.length] ?? [];
          const { worstLoss } = play(policy, 300, text, { ms, seed });
          expect(worstLoss).toBeLessThanOrEqual(1 + 1e-9);
          expect(policy.credit).toBeGreaterThanOrEqual(-1e-9);
        },
      ),
      fixed(100),
    );
  });

  test("goes back to trees when hard text turns easy", () => {
    const policy = start();
    play(policy, 600, () => hard);
    const { trees } = play(policy, 900, () => easy, { seed: 2 });
    const late = trees.slice(500);
    expect(late.filter((tree) => tree.size > 1).length).toBeGreaterThan(0.9 * late.length);
  });

  test("does not let a long good time pay for a long bad one", () => {
    const policy = start();
    play(policy, 2000, () => easy);
    expect(policy.credit).toBe(8);
  });

  test("tries trees at intervals that double, and short again after a good time", () => {
    const single = treeFromPaths([[0]]);
    const ms = (tree: TreeTopology) => (tree.size === 1 ? 1 : 1.001);
    const options = { candidates: [single], costs: knownCosts(ms), prior: [[0]], rate: 0.5 };
    const policy = start(options);
    const bad = play(policy, 300, () => [], { ms }).trees;
    const tries = bad.flatMap((tree, step) => (tree === single ? [step] : []));
    expect(tries).toEqual([4, 13, 30, 63, 128, 193, 258]);
    expect(play(policy, 100, () => [[1]], { ms }).trees.at(-1)).toBe(single);
    const again = play(policy, 100, () => [], { ms }).trees;
    const stopped = again.indexOf(rootOnly);
    expect(again.indexOf(single, stopped) - stopped).toBe(4);
  });

  test("mostly decodes plainly on hard text", () => {
    const ms = (tree: TreeTopology) => 1 + 0.1 * (tree.size - 1);
    const { trees } = play(start({ costs: knownCosts(ms) }), 1000, () => hard, { ms });
    expect(trees.filter((tree) => tree.size > 1).length).toBeLessThan(100);
  });

  test("times plain decoding again now and then", () => {
    const { trees } = play(start({ refresh: 50 }), 510, () => easy);
    // At the start and nine times later; each time only the third plain step in a row counts.
    expect(trees.filter((tree) => tree.size === 1).length).toBe(30);
  });

  test("starts with a tree it can afford and moves on to a better one that costs more", () => {
    const single = treeFromPaths([[0]]);
    const chain = treeFromPaths([[0], [0, 0], [0, 0, 0], [0, 0, 0, 0]]);
    const certain = [[1], [1], [1], [1]];
    const ms = (tree: TreeTopology) =>
      new Map([
        [1, 1],
        [2, 1.5],
        [5, 3],
      ]).get(tree.size) ?? 0;
    const options = { candidates: [single, chain], costs: knownCosts(ms), prior: certain };
    const { trees, worstLoss } = play(settled(options, ms), 20, () => certain, { ms });
    expect(trees.slice(0, 2)).toEqual([single, single]);
    expect(trees.at(-1)).toBe(chain);
    expect(worstLoss).toBeLessThanOrEqual(1);
  });

  test("drafts nothing that does not fit or is not wanted", () => {
    const policy = settled();
    expect(policy.next(roomy).size).toBeGreaterThan(1);
    for (let room = 1; room < 22; room++) {
      expect(policy.next({ ...roomy, room }).size).toBeLessThanOrEqual(room);
    }
    expect(policy.next({ ...roomy, remaining: 1 })).toBe(rootOnly);
    const chain = treeFromPaths([[0], [0, 0], [0, 0, 0]]);
    const single = treeFromPaths([[0]]);
    const chains = settled({ candidates: [single, chain] });
    expect(chains.next({ ...roomy, remaining: 2 })).toBe(single);
    expect(chains.next(roomy)).toBe(chain);
  });

  test("makes the same choices from the same observations", () => {
    const text = (tokens: number) => (tokens % 300 < 150 ? easy : hard);
    const [a, b] = [start(), start()].map((policy) => play(policy, 800, text));
    expect(a?.trees).toEqual(b?.trees);
    expect(new Set(a?.trees).size).toBeGreaterThan(1);
  });
});

describe("measured step costs", () => {
  const tree = treeFromPaths([[0]]);

  test("are unknown until measured", () => {
    const costs = new StepCosts();
    expect(costs.of(tree)).toBeUndefined();
    costs.record(tree, 0, 5);
    expect(costs.of(tree)).toBe(5);
    expect(costs.of(rootOnly)).toBeUndefined();
  });

  test("ignore hiccups and follow a lasting change", () => {
    const costs = new StepCosts();
    for (const ms of [90, 5, 6, 50, 6]) costs.record(tree, 0, ms);
    expect(costs.of(tree)).toBe(5);
    for (const ms of [9, 9, 40, 9, 9]) costs.record(tree, 0, ms);
    expect(costs.of(tree)).toBe(9);
  });

  test("belong to the shape of a tree, not to its name", () => {
    const costs = new StepCosts();
    costs.record(treeFromPaths([[0]], "a"), 0, 4);
    costs.record(treeFromPaths([[0]], "b"), 0, 3);
    expect(costs.of(tree)).toBe(3);
  });
});

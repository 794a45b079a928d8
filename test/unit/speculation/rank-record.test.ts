import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bestTree, expectedTokens } from "../../../src/speculation/acceptance-table.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";
import { countAcceptance, type RankRecord, replay } from "../../../src/speculation/rank-record.ts";
import { rootOnly, type TreeTopology, treeFromPaths } from "../../../src/speculation/tree.ts";
import { arbitraryTree, fixed } from "./arbitrary-tree.ts";

/** Records of texts of up to 40 tokens, three depths, ranks up to 3 and misses; rows end with the text. */
const arbitraryRecord: fc.Arbitrary<RankRecord> = fc
  .array(fc.array(fc.integer({ min: -1, max: 3 }), { minLength: 3, maxLength: 3 }), {
    minLength: 1,
    maxLength: 40,
  })
  .map((rows) => rows.map((row, at) => row.slice(0, rows.length - 1 - at)));

/** The record a model of known tokens leaves: the text counts 0, 1, 2, …; `guess` lists candidates. */
function recordOf(
  length: number,
  depths: number,
  guess: (at: number, depth: number) => readonly number[],
): RankRecord {
  return Array.from({ length }, (_, at) =>
    Array.from({ length: Math.min(depths, length - 1 - at) }, (_, depth) =>
      guess(at, depth).indexOf(at + 1 + depth),
    ),
  );
}

describe("acceptance counted from ranks", () => {
  test("is the share of positions at which a rank held the text's token", () => {
    // Head 0 has the token first at even positions, second at odd ones; head 1 every third time.
    const record = recordOf(7, 2, (at, depth) => {
      if (depth === 0) return at % 2 === 0 ? [at + 1, -9] : [-9, at + 1];
      return at % 3 === 0 ? [-9, at + 2] : [];
    });
    expect(countAcceptance([record], 2, 2)).toEqual({
      table: [
        [3 / 6, 3 / 6],
        [0, 2 / 5],
      ],
      trials: [6, 5],
    });
  });

  test("adds up texts by their positions, not text by text", () => {
    const record = (length: number, rank: number) =>
      Array.from({ length }, (_, at) => (at < length - 1 ? [rank] : []));
    const { table, trials } = countAcceptance([record(10, 0), record(2, -1)], 1, 2);
    expect(trials).toEqual([10]);
    expect(table).toEqual([[9 / 10, 0]]);
  });

  test("leaves out ranks and depths beyond those asked for", () => {
    const { table, trials } = countAcceptance([[[3, 0, 0], [1]]], 1, 2);
    expect(table).toEqual([[0, 0.5]]);
    expect(trials).toEqual([2]);
  });

  test("is zero where no text is long enough", () => {
    expect(countAcceptance([[[]]], 2, 2)).toEqual({
      table: [
        [0, 0],
        [0, 0],
      ],
      trials: [0, 0],
    });
  });

  test("predicts trees of depth 1 exactly, as no independence is needed there", () => {
    fc.assert(
      fc.property(arbitraryRecord, fc.integer({ min: 1, max: 3 }), (record, children) => {
        const { table } = countAcceptance([record], 1, 4);
        const tree = treeFromPaths(Array.from({ length: children }, (_, rank) => [rank]));
        const counted = record.slice(0, -1);
        const right = counted.filter(([rank = -1]) => rank >= 0 && rank < children).length;
        expect(expectedTokens(tree, table)).toBeCloseTo(1 + right / Math.max(1, counted.length), 9);
      }),
      fixed(),
    );
  });
});

describe("a replay", () => {
  test("goes down while a child holds the text's token, and begins again after it", () => {
    const tree = treeFromPaths([[0], [1], [1, 0]]);
    const record = [[1, 0], [0, 0], [2, 0], [0, 1], [-1, 0], [0, 0], [0], []];
    // Steps at 0 (two drafts), 3 (one, then rank 1 is no child of it), 5 (one), 7.
    expect(replay(tree, record)).toEqual({ steps: 4, committed: [3, 2, 2] });
  });

  test("counts a step that begins too close to the end, but not what it commits", () => {
    expect(replay(namedTree("chain-4"), [[0, 0, 0], [0, 0], [0], []])).toEqual({
      steps: 1,
      committed: [],
    });
  });

  test("of plain decoding takes a step for every token", () => {
    fc.assert(
      fc.property(arbitraryRecord, (record) => {
        const { steps, committed } = replay(rootOnly, record);
        expect(steps).toBe(record.length);
        expect(committed).toEqual(record.map(() => 1));
      }),
      fixed(),
    );
  });

  test("equals decoding step by step with a model of known tokens, for any tree", () => {
    fc.assert(
      fc.property(arbitraryTree(40), arbitraryRecord, (tree, record) => {
        const lengths = decodeWith(tree, record);
        const { steps, committed } = replay(tree, record);
        expect(steps).toBe(lengths.length);
        expect(lengths.slice(0, committed.length)).toEqual(committed);
      }),
      fixed(),
    );
  });

  test("of a larger tree commits no less in its first step", () => {
    fc.assert(
      fc.property(arbitraryTree(30), arbitraryRecord, (tree, record) => {
        fc.pre(record.length > tree.maxDepth);
        const smaller = treeFromPaths(tree.paths.slice(1, Math.ceil(tree.size / 2)));
        const first = (each: TreeTopology) => replay(each, record).committed[0] ?? 0;
        expect(first(tree)).toBeGreaterThanOrEqual(first(smaller));
      }),
      fixed(),
    );
  });

  test("of the best tree comes to the prediction where depths are independent", () => {
    // Deterministic ranks of a known distribution, drawn anew for every position and depth.
    let state = 1;
    const draw = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    const record = Array.from({ length: 20_000 }, (_, at) =>
      Array.from({ length: Math.min(3, 19_999 - at) }, () => {
        const u = draw();
        return u < 0.6 ? 0 : u < 0.8 ? 1 : u < 0.9 ? 2 : -1;
      }),
    );
    const { table } = countAcceptance([record], 3, 3);
    const tree = bestTree(table, 12);
    const { committed } = replay(tree, record);
    const mean = committed.reduce((sum, each) => sum + each, 0) / committed.length;
    expect(Math.abs(mean - expectedTokens(tree, table))).toBeLessThan(0.05);
  });
});

/** Decodes the text 0, 1, 2, …: fills the tree with candidates that have the record's ranks, and walks it. */
function decodeWith(tree: TreeTopology, record: RankRecord): number[] {
  const lengths: number[] = [];
  for (let at = 0; at < record.length; ) {
    // A node holds the right token if its rank is the record's; any other holds none of the text.
    const tokens = tree.paths.map((path) => {
      const depth = path.length - 1;
      return depth >= 0 && record[at]?.[depth] === path.at(-1) ? at + 1 + depth : -7;
    });
    let node = 0;
    let length = 1;
    for (;;) {
      const next = tree.children(node).find((child) => tokens[child] === at + length);
      if (next === undefined) break;
      node = next;
      length++;
    }
    lengths.push(length);
    at += length;
  }
  return lengths;
}

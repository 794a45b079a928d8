import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { maxTreeDepth } from "../../kernels/attention/attention.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { KernelLab } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";
import {
  type AttentionRun,
  type AttentionShape,
  bits,
  randomTree,
  range,
  runAttention,
  seen,
  worstError,
} from "./run-attention.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("runs attention", () => {}));

/** Around ends of blocks, of splits, and a tree's depth after them; and some where trees cross them. */
const contexts = [0, 1, 31, 32, 50, 63, 64, 65, 95, 96, 97, 126, 160, 200, 250, 351, 352, 600];

/** A random tree over `prefix` tokens. */
function treeAfter(prefix: number, nodes: number, depth: number): AttentionRun {
  const parents = randomTree(nodes, depth, new Random(nodes));
  return { prefix: range(prefix), rows: range(nodes, 10_000), parents };
}

/** The same token as a plain step: everything it sees lies before it. */
function plainStep(run: AttentionRun, row: number): AttentionRun {
  const tokens = seen(run, row);
  return { prefix: tokens.slice(0, -1), rows: tokens.slice(-1) };
}

/** Two nodes agree with f64, and the second with a tree of one node: one kernel does for both. */
function expectNodesLikeSteps(lab: KernelLab, shape: AttentionShape, tolerance: number): void {
  const run = { prefix: range(320), rows: [320, 321], parents: [-1, 0], capacity: 400 };
  const tree = runAttention(lab, shape, run);
  expect(worstError(shape, run, tree)).toBeLessThan(tolerance);
  const step = { ...plainStep(run, 1), parents: [-1], capacity: 400 };
  expect(bits(tree[1])).toBe(bits(runAttention(lab, shape, step)[0]));
}

describe.skipIf(installedNvrtc().length === 0)("attention on the emulator", () => {
  let lab: KernelLab;
  beforeAll(async () => {
    lab = await KernelLab.open();
  });
  afterAll(() => {
    expect(lab.findings()).toEqual([]);
    for (const [name, { spillBytes }] of lab.resources) {
      // Only kernels of one small head size on CUDA cores keep a few words in local memory.
      if (/_bf16_t|_f16_t/.test(name)) expect(spillBytes, name).toBe(0);
    }
    lab.close();
  });

  describe.each<{ name: string; shape: AttentionShape; tolerance: number }>([
    {
      name: "tensor cores, bf16",
      shape: { heads: 4, kvHeads: 2, headDim: 16, dtype: "bf16" },
      tolerance: 4e-3,
    },
    {
      name: "CUDA cores, f32",
      shape: { heads: 4, kvHeads: 2, headDim: 8, dtype: "f32", activations: "f32" },
      tolerance: 2e-6,
    },
  ])("on $name", ({ shape, tolerance }) => {
    // As one prompt: the rows that all others are compared with.
    const prompt: AttentionRun = { prefix: [], rows: range(632) };
    let rows: Float32Array[];
    beforeAll(() => {
      rows = runAttention(lab, { ...shape, multiprocessors: 1 }, prompt);
    });

    it("agrees with softmax in f64", () => {
      const some = [0, 1, 62, 63, 64, 95, 96, 97, 160, 300, 351, 352, 600, 631];
      expect(worstError(shape, prompt, rows, some)).toBeLessThan(tolerance);
    });

    it("gives a plain step the bits of a row of the prompt", () => {
      for (const position of contexts) {
        const [row] = runAttention(lab, shape, {
          prefix: range(position),
          rows: [position],
          capacity: 640,
        });
        expect(bits(row), `position ${position}`).toBe(bits(rows[position]));
      }
    });

    it("gives a node of a tree the bits of a row of the prompt", () => {
      // As deep as trees may be, and a leaf beside every node of the path.
      const parents = range(64).map((node) => (node % 2 === 1 ? node - 1 : Math.max(node - 2, -1)));
      for (const prefix of contexts) {
        const tokens = parents.map((_, node) =>
          node % 2 === 1 ? 10_000 + node : prefix + node / 2,
        );
        const run = { prefix: range(prefix), rows: tokens, parents, capacity: 700 };
        const tree = runAttention(lab, shape, run);
        for (const depth of range(maxTreeDepth))
          expect(bits(tree[2 * depth]), `${prefix} + ${depth}`).toBe(bits(rows[prefix + depth]));
      }
    });

    it("gives every node of a tree the bits of a plain step", () => {
      for (const prefix of [33, 600]) {
        const run = treeAfter(prefix, 64, 12);
        const tree = runAttention(lab, shape, { ...run, capacity: 700 });
        for (const node of range(13).map((i) => 5 * i)) {
          const [row] = runAttention(lab, shape, { ...plainStep(run, node), capacity: 640 });
          expect(bits(tree[node]), `${prefix}, node ${node}`).toBe(bits(row));
        }
        expect(worstError(shape, run, tree, [0, 11, 63])).toBeLessThan(tolerance);
      }
    });

    it.each([2, 7, 33, 64])("gives a row the same bits among %i rows", (count) => {
      for (const prefix of [40, 330]) {
        const some = runAttention(lab, shape, {
          prefix: range(prefix),
          rows: range(count, prefix),
          capacity: 640,
        });
        for (const [i, row] of some.entries()) expect(bits(row)).toBe(bits(rows[prefix + i]));
      }
    });

    it("gives the same bits whether blocks share the splits or one walks over them", () => {
      const run = treeAfter(620, 40, 6);
      const [shared, walked] = [132, 1].map((multiprocessors) =>
        runAttention(lab, { ...shape, multiprocessors }, run).map(bits),
      );
      expect(shared).toEqual(walked);
    });

    it("goes on with longer splits in long contexts", () => {
      const prefix = 9300;
      const run = { prefix: range(prefix), rows: range(17, prefix) };
      const walked = runAttention(lab, { ...shape, multiprocessors: 1 }, run);
      expect(worstError(shape, run, walked, [0])).toBeLessThan(tolerance);
      const [step] = runAttention(lab, shape, { prefix: range(prefix), rows: [prefix] });
      expect(bits(walked[0])).toBe(bits(step));
    });

    it("takes trees of more than one word", () => {
      const run = treeAfter(130, 130, 20);
      const tree = runAttention(lab, shape, run);
      for (const node of [0, 63, 64, 127, 128, 129]) {
        const [row] = runAttention(lab, shape, { ...plainStep(run, node), capacity: 640 });
        expect(bits(tree[node]), `node ${node}`).toBe(bits(row));
      }
      expect(worstError(shape, run, tree, [64, 129])).toBeLessThan(tolerance);
    });

    it("gives zeros to a row that sees nothing", () => {
      const run = { prefix: [], rows: range(40), parents: range(40, -1), unseeing: [2] };
      const results = runAttention(lab, shape, { ...run, capacity: 640 });
      expect(results[2]?.every((value) => value === 0)).toBe(true);
      expect(results[3]?.some((value) => value !== 0)).toBe(true);
    });

    it("does not depend on the order of blocks and warps", async () => {
      const run = treeAfter(600, 40, 8);
      const expected = runAttention(lab, shape, run).map(bits);
      const other = await KernelLab.open({ seed: 1 });
      expect(runAttention(other, shape, run).map(bits)).toEqual(expected);
      expect(other.findings()).toEqual([]);
      other.close();
    });
  });

  it.each([
    [4, 4],
    [8, 1],
    [7, 1],
  ])("shares keys and values: %i heads over %i", (heads, kvHeads) => {
    const shape = { heads, kvHeads, headDim: 16, dtype: "bf16" } as const;
    expectNodesLikeSteps(lab, shape, 4e-3);
  });

  it.each([
    [2, 64, "bf16"],
    [2, 80, "f16"],
    [4, 128, "bf16"],
    [2, 256, "f16"],
  ] as const)(
    "takes %i heads of %i in %s, without bank conflicts",
    async (heads, headDim, dtype) => {
      const shape = { heads, kvHeads: 1, headDim, dtype };
      const own = await KernelLab.open();
      expectNodesLikeSteps(own, shape, dtype === "bf16" ? 4e-3 : 5e-4);
      expect(own.findings()).toEqual([]);
      expect(own.counters().sharedBankConflicts).toBe(0);
      own.close();
    },
  );

  it.each([
    [10, "f32", "f32"],
    [20, "bf16", "stored"],
    [64, "f32", "f32"],
    [300, "f16", "stored"],
  ] as const)("takes heads of %i in %s on CUDA cores", (headDim, dtype, activations) => {
    const shape = { heads: 3, kvHeads: 1, headDim, dtype, activations };
    expectNodesLikeSteps(lab, shape, 3e-6);
  });
});

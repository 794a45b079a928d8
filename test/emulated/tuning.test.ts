import { describe, expect, it } from "vitest";
import { elementsOf } from "../../kernels/entry.ts";
import { linearCandidates, tunableLinear } from "../../kernels/linear/candidates.ts";
import type { LinearOp } from "../../kernels/linear/linear.ts";
import { tileCount } from "../../kernels/linear/tiling.ts";
import type { BufferId, Target } from "../../src/ir/program.ts";
import { invariant } from "../../src/util/errors.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { KernelLab, type LabBuffer } from "../helpers/kernel-lab.ts";
import {
  type LinearCase,
  linearCase,
  operands,
  runLinear,
  storing,
  target,
} from "./linear-case.ts";

const newest = Math.max(0, ...installedNvrtc().map(({ nvrtc }) => nvrtc.version.major));
const [positions, frequencies, start, q, keys, values, squares, sums] = [
  30, 31, 32, 33, 34, 35, 36, 37,
];

/** A layer with all its buffers, for any number of rows. */
interface Layer {
  readonly given: LinearCase;
  readonly op: (rows: number) => LinearOp;
  readonly buffers: (rows: number) => ReadonlyMap<BufferId, LabBuffer>;
  readonly machine: Target;
  readonly rows: readonly number[];
  /** A rotation reads pairs half a head apart: its epilogue, not the main loop, meets conflicts. */
  readonly rotates?: boolean;
}

function outputBuffers(given: LinearCase, rows: number): [BufferId, LabBuffer][] {
  return given.outputs.map((outputs, i) => [20 + i, { bytes: 4 * rows * outputs }]);
}

const hopper = target(132, 90, newest);
const hopperA = { ...hopper, arch: "sm_90a" };

/** 1040 inputs: four parts, the last chunk not full; 72 outputs: two tiles and a bit. */
function odd(): Layer {
  const given = linearCase("bf16", "bf16", 1040, [72], 64, true);
  return {
    given,
    op: (rows) => ({ ...operands(given, rows), epilogue: storing(given) }),
    buffers: (rows) => new Map(outputBuffers(given, rows)),
    machine: target(132),
    rows: [1, 2, 7, 33, 64],
  };
}

/** Whole chunks and tiles, so that weights are copied in bulk; scaled rows, sums of squares. */
function scaled(): Layer {
  const given = linearCase("bf16", "bf16", 1088, [256], 64);
  const scaleSums = Float32Array.from({ length: 64 * 5 }, (_, i) => 100 + i);
  const shared = (rows: number): LinearOp => ({
    ...operands(given, rows),
    rowScale: { sums, parts: 5, width: 1088, eps: 1e-5 },
    epilogue: storing(given),
  });
  return {
    given,
    op: (rows) => ({
      ...shared(rows),
      epilogue: {
        kind: "elementwise",
        name: "store",
        readBytes: 0,
        writtenBytes: 0,
        statements: (entry, { row, column, values: [value = ""] }) =>
          `${entry.buffer("out", 20, "float", "write")}[${row} * 256 + ${column}] = ${value};`,
        squares: { buffer: squares, value: "values[0]" },
      },
    }),
    buffers: (rows) =>
      new Map<BufferId, LabBuffer>([
        ...outputBuffers(given, rows),
        [squares, { bytes: 4 * rows * tileCount(shared(rows)) }],
        [sums, scaleSums],
      ]),
    machine: hopperA,
    rows: [2, 33],
  };
}

/** Two weights of 40 outputs in one tile, two parts. */
function beside(): Layer {
  const given = linearCase("f16", "f16", 560, [40, 40], 64);
  return {
    given,
    op: (rows) => ({ ...operands(given, rows), epilogue: storing(given) }),
    buffers: (rows) => new Map(outputBuffers(given, rows)),
    machine: hopper,
    rows: [64],
  };
}

/** q, k and v one after another, rotated into caches. */
function merged(): Layer {
  const given = linearCase("bf16", "bf16", 1040, [128, 64, 64], 64);
  return {
    given,
    op: (rows) => ({
      ...operands(given, rows),
      epilogue: {
        kind: "rope-cache",
        headDim: 64,
        roles: ["q", "k", "v"],
        positions: elementsOf(positions, "int", "positions"),
        inverseFrequencies: frequencies,
        start: elementsOf(start, "int", "start"),
        q: { buffer: q, dtype: "bf16" },
        keys: { buffer: keys, dtype: "bf16" },
        values: { buffer: values, dtype: "bf16" },
      },
    }),
    buffers: (rows) =>
      new Map<BufferId, LabBuffer>([
        [positions, Int32Array.from({ length: rows }, (_, i) => 5 + i)],
        [frequencies, Float32Array.from({ length: 32 }, (_, i) => 10000 ** (-i / 32))],
        [start, Int32Array.of(3)],
        [q, { bytes: 2 * rows * 128 }],
        [keys, new Uint16Array((rows + 3) * 64)],
        [values, new Uint16Array((rows + 3) * 64)],
      ]),
    machine: hopper,
    rows: [33],
    rotates: true,
  };
}

/** The best of a tile, and all logits. */
function ranked(): Layer {
  const given = linearCase("bf16", "bf16", 520, [200], 64);
  const tiles = Math.ceil(200 / 32);
  return {
    given,
    op: (rows) => ({
      ...operands(given, rows),
      epilogue: {
        kind: "topk",
        k: 4,
        partialValues: 20,
        partialIds: 21,
        logits: { buffer: 22 },
      },
    }),
    buffers: (rows) =>
      new Map<BufferId, LabBuffer>([
        [20, { bytes: 4 * rows * tiles * 4 }],
        [21, { bytes: 4 * rows * tiles * 4 }],
        [22, { bytes: 4 * rows * 200 }],
      ]),
    machine: target(4),
    rows: [7],
  };
}

describe.skipIf(newest === 0)(`candidates of a tuner (${NO_NVRTC})`, () => {
  it.each([
    ["an odd shape with a bias", odd],
    ["scaled rows, weights copied in bulk, sums of squares", scaled],
    ["two weights side by side", beside],
    ["queries, keys and values", merged],
    ["a vocabulary's best", ranked],
  ] as const)(
    "give every row the same bits, without findings, bank conflicts and spills: %s",
    { timeout: 120_000 },
    async (_, make) => {
      const { op, buffers, given, machine, rows: rowCounts, rotates = false } = make();
      if (machine.arch === "sm_90a" && newest < 12) return;
      const lab = await KernelLab.open({ arch: machine.arch });
      try {
        for (const rows of rowCounts) {
          const layer = op(rows);
          const tunable = tunableLinear(layer, rows, machine);
          invariant(tunable !== undefined, "there is something to choose");
          expect(tunable.candidates.length).toBeGreaterThan(4);
          const run = (choice: string) => {
            const tuning = { choices: { [tunable.key]: choice } };
            const { calls, after } = runLinear(lab, given, layer, buffers(rows), {
              ...machine,
              tuning,
            });
            expect(calls[0]?.launch.tunable?.chosen).toBe(choice);
            const resources = lab.resources.get(calls[0]?.kernel.entry ?? "");
            expect(resources?.spillBytes, `spilled bytes of ${choice}`).toBe(0);
            return [...buffers(rows).keys()].map((id) => after.get(id));
          };
          const [usual = "", ...others] = tunable.candidates;
          const wanted = run(usual);
          for (const other of others) expect(run(other), other).toEqual(wanted);
        }
        if (!rotates) expect(lab.counters().sharedBankConflicts).toBe(0);
      } finally {
        lab.close();
      }
    },
  );

  it("differ in what is launched", () => {
    const layer = odd().op(7);
    const candidates = linearCandidates(layer, 7, target(132));
    expect(new Set(candidates.map(({ split, warpsK }) => `${split} ${warpsK}`)).size).toBe(3);
  });
});

import { describe, expect, it } from "vitest";
import { diffInspections } from "../../../../src/api/inspect/diff.ts";
import type { DiffSide } from "../../../../src/api/inspect/diff-kernels.ts";
import { partsOf } from "../../../../src/api/inspect/diff-texts.ts";
import { diffPrograms } from "../../../../src/api/inspect/diff-sides.ts";
import { flattenCuda } from "../../../../src/api/inspect/flatten-cuda.ts";
import { gpuLimits } from "../../../../src/api/inspect/gpu-limits.ts";
import { diffText } from "../../../../src/cli/inspection-diff.ts";

interface KernelSketch {
  readonly entry: string;
  readonly family?: string;
  readonly labels: readonly string[];
  readonly text: string;
  readonly header?: string;
  readonly registers?: number | undefined;
  readonly readBytes?: number;
}

/** A program of these kernels, launched once for each label. */
function side(...kernels: readonly KernelSketch[]): DiffSide {
  const groups = kernels.flatMap(({ labels }) => labels);
  const compiled = (registers: number) => ({
    registers,
    spillBytes: 0,
    stackBytes: 0,
    staticSharedBytes: 0,
    barriers: 1,
    occupancy: { blocksPerMultiprocessor: 2, fraction: 0.5, limitedBy: "registers" as const },
  });
  return {
    inspection: {
      title: "a program",
      version: "1",
      command: "hydra inspect",
      made: "2026-01-02T03:04:05Z",
      gpu: gpuLimits("sm_80"),
      model: [],
      nodes: [],
      sources: [],
      groups: groups.map((label) => ({ kind: "linear", label, nodes: [], launches: [] })),
      kernels: kernels.map(({ entry, family = "linear", registers = 32 }) => ({
        entry,
        family,
        threads: 128,
        dynamicSharedBytes: 0,
        compiled: compiled(registers),
      })),
      launches: kernels.flatMap(({ labels, readBytes = 100 }, kernel) =>
        labels.map((label) => ({
          kernel,
          group: groups.indexOf(label),
          label,
          grid: [4, 1, 1] as const,
          args: [],
          weightBytes: 0,
          readBytes,
          writtenBytes: 0,
          flops: 0,
          modelled: 1,
        })),
      ),
      repeats: [],
      buffers: [],
      memory: { weights: 0, caches: 0, other: 0, arena: 0, ring: 0, capacity: 64 },
    },
    cuda: new Map(
      kernels.map(({ entry, text, header = "int shared;" }) => [
        entry,
        flattenCuda(
          { entry, source: `#include "kernels/h.cuh"\nvoid ${entry}() {\n${text}\n}\n` },
          { "kernels/h.cuh": `#pragma once\n${header}\n` },
        ),
      ]),
    ),
  };
}

const norm: KernelSketch = { entry: "norm_1", labels: ["norm"], text: "norm();" };
const product: KernelSketch = {
  entry: "product_aaa",
  labels: ["layers.0.q", "layers.1.q"],
  text: "first();\nmultiply(8);\nlast();",
};

describe("two programs", () => {
  it("are identical when texts, figures and launches are", () => {
    const diff = diffInspections(side(norm, product), side(norm, product));
    expect(diff.identical).toBe(true);
    expect(diffText(diff)).toMatch(/identical: 2 kernels, the same CUDA and figures\n$/);
  });

  it("differ in a kernel whose name changed with its text: a patch without the name", () => {
    const changed = { ...product, entry: "product_bbb", text: "first();\nmultiply(16);\nlast();" };
    const diff = diffInspections(side(norm, product), side(norm, changed));
    expect(diff.identical).toBe(false);
    const [first, second] = diff.pairs;
    expect(first).toMatchObject({ after: "norm_1", identical: true, patch: "" });
    expect(second).toMatchObject({ before: "product_aaa", after: "product_bbb" });
    const lines = second?.patch.split("\n").filter((line) => /^[-+][^-+]/.test(line));
    expect(lines).toEqual(["-multiply(8);", "+multiply(16);"]);
    const text = diffText(diff);
    expect(text).toContain("2 kernels: 1 changed, 1 the same, 0 only before, 0 only after");
    expect(text).toContain("product_aaa → product_bbb");
  });

  it("match kernels by what they compute, whatever order they come in", () => {
    const heads = { entry: "product_x", labels: ["draft.0"], text: "a();" };
    const layers = { entry: "product_y", labels: ["layers.0.q", "layers.1.q"], text: "b();" };
    const diff = diffInspections(
      side(heads, layers),
      side({ ...layers, entry: "product_p" }, { ...heads, entry: "product_q" }),
    );
    expect(diff.pairs.map(({ before, after }) => [before, after])).toEqual([
      ["product_y", "product_p"],
      ["product_x", "product_q"],
    ]);
  });

  it("match no kernels of different families or of nothing in common", () => {
    const other = { ...product, entry: "product_ccc", labels: ["draft.0"] };
    const family = { ...product, entry: "product_ddd", family: "rows" };
    const diff = diffInspections(side(product), side(other, family));
    expect(diff.pairs).toEqual([]);
    expect(diff.onlyBefore).toEqual([{ entry: "product_aaa", labels: product.labels }]);
    expect(diff.onlyAfter.map(({ entry }) => entry)).toEqual(["product_ccc", "product_ddd"]);
  });

  it("say which figures of a kernel and of the program changed", () => {
    const diff = diffInspections(
      side(product),
      side({ ...product, registers: 48, readBytes: 150 }),
    );
    expect(diff.identical).toBe(false);
    const changed = diff.pairs[0]?.figures.filter(({ isDifferent }) => isDifferent);
    expect(changed?.map(({ name, before, after }) => [name, before, after])).toEqual([
      ["registers", 32, 48],
      ["other bytes", 200, 300],
    ]);
    expect(diff.totals.filter(({ isDifferent }) => isDifferent)).toHaveLength(1);
    expect(diffText(diff)).toContain("registers    32 → 48  (+50 %)");
  });

  it("tell a header that changed once, with the number of kernels it is in", () => {
    const changed = [norm, product].map((kernel) => ({ ...kernel, header: "int changed;" }));
    const diff = diffInspections(side(norm, product), side(...changed));
    expect(diff.headers).toMatchObject([{ name: "kernels/h.cuh", kernels: 2 }]);
    expect(diff.headers[0]?.patch).toContain("+int changed;");
    expect(diff.pairs.map(({ patch, identical }) => [patch, identical])).toEqual([
      ["", false],
      ["", false],
    ]);
    expect(diffText(diff)).toContain("kernels/h.cuh, which 2 kernels include");
  });

  it("are not different in what one side does not know", () => {
    const before = side(norm);
    const bare = { ...before.inspection.kernels[0], entry: "norm_1", family: "linear" };
    const { compiled: _, ...uncompiled } = { threads: 128, dynamicSharedBytes: 0, ...bare };
    const after = {
      inspection: { ...before.inspection, kernels: [uncompiled] },
      cuda: new Map<string, string>(),
    };
    const diff = diffInspections(before, after);
    expect(diff.identical).toBe(true);
    expect(diff.pairs[0]).toMatchObject({ isTextKnown: false });
  });

  it("are compared in the kernels of a name only, if asked", () => {
    const changed = { ...product, entry: "product_bbb", text: "other();" };
    const [before, after] = [side(norm, product), side(norm, changed)];
    expect(diffInspections(before, after, "norm").identical).toBe(true);
    expect(diffInspections(before, after, "product_aaa").pairs).toHaveLength(1);
  });

  it("are not identical when kernels are launched in another order", () => {
    const diff = diffInspections(side(norm, product), side(product, norm));
    expect(diff).toMatchObject({ identical: false, otherLaunches: true });
    expect(diffText(diff)).toContain("the launches are others, or in another order");
  });
});

describe("two configurations", () => {
  const options = { shape: "demo", compile: "no", arch: "sm_80" } as const;

  it("differ in the kernels of a name that one of them lacks", async () => {
    const diff = await diffPrograms(
      { ...options, kernel: "attention_tree" },
      { options: { ...options, heads: "none", kernel: "attention_tree" } },
    );
    expect(diff.identical).toBe(false);
    const { pairs, onlyBefore, onlyAfter } = diff;
    const names = [...pairs.map(({ after }) => after), ...onlyAfter.map(({ entry }) => entry)];
    expect(names).toEqual([expect.stringContaining("attention_tree64")]);
    expect(onlyBefore).toEqual([]);
  });

  it("are not the same for a name that neither has", async () => {
    const wanted = { ...options, kernel: "nothing" };
    await expect(diffPrograms(wanted, { options: wanted })).rejects.toThrow(
      'No kernel is called "nothing".',
    );
  });
});

describe("the parts of a flattened kernel", () => {
  it("are its headers and the generated text, as they were joined", () => {
    const text = side(norm).cuda.get("norm_1") ?? "";
    expect([...partsOf(text)]).toEqual([
      ["kernels/h.cuh", "int shared;\n"],
      ["generated", "void norm_1() {\nnorm();\n}\n"],
    ]);
  });
});

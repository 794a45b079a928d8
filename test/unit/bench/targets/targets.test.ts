import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { cacheBytes } from "../../../../bench/targets/measured.ts";
import { isMet, targets } from "../../../../bench/targets/targets.ts";
import {
  evaluateTargets,
  targetsMarkdown,
  withTargets,
} from "../../../../bench/targets/targets-table.ts";
import { HydrantError } from "../../../../src/util/errors.ts";
import { goodCheck, madeCheck } from "./made-check.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "hydrant-targets-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Values of a target by where, to four digits. */
const valuesOf = (id: string, check = goodCheck) =>
  Object.fromEntries(
    (evaluateTargets(check).find(({ target }) => target.id === id)?.values ?? []).map((one) => [
      one.where,
      [Number(one.value.toPrecision(4)), one.isMet],
    ]),
  );

describe("the table of targets", () => {
  it("has targets of distinct ids and titles", () => {
    expect(new Set(targets.map(({ id }) => id)).size).toBe(targets.length);
    expect(new Set(targets.map(({ title }) => title)).size).toBe(targets.length);
  });

  it("counts the bytes of a text's keys and values", () => {
    // 2 for keys and values, 2 bytes, 32 layers, 32 heads of 128.
    expect(cacheBytes("vicuna-7b", 512)).toBe(2 * 2 * 32 * 32 * 128 * 512);
    expect(cacheBytes("llama-3.1-8b", 1)).toBe(2 * 2 * 32 * 8 * 128);
  });

  it("relates bytes and time of a plain step to the copy bandwidth", () => {
    const [share] = valuesOf("plain-roofline")["vicuna-7b, 512 tokens"] ?? [];
    expect(share).toBeCloseTo((13.2e9 + 268435456) / 3.6e-3 / 4e12, 4);
  });

  it.each([
    ["tree-step", { "vicuna-7b, 512 tokens": [1.2, true] }],
    ["verify", { "vicuna-7b, 512 tokens": [1.02, true] }],
    [
      "gaps",
      // The kernels leave more uncovered than the device's own time of a plain step; a tree's sum is larger than it.
      {
        "vicuna-7b, 512 tokens": [0.02778, false],
        "vicuna-7b, 512 tokens, tree": [0.00463, true],
      },
    ],
    ["products", { "vicuna-7b, 8 rows": [0.9, true] }],
    ["products-cublas", { "vicuna-7b, 8 rows": [0.88, true] }],
    ["tree-attention", { "vicuna-7b": [1.192, true] }],
    ["prefill", { "vicuna-7b": [1.4, true] }],
    ["exact-tokens", { "vicuna-7b, 17 texts": [1, true], "demo, 20 texts": [0, false] }],
    ["exact-bits", { "": [1, true] }],
    ["torch-eager", { "vicuna-7b, 512 tokens": [5, true] }],
    // As fast as it is not faster.
    ["torch-compiled", { "vicuna-7b, 512 tokens": [1, false] }],
    ["torch-hydra", { "vicuna-7b, 512 tokens": [2, false] }],
    ["torch-hydra-eager", {}],
    ["memory", { "vicuna-7b": [290, true] }],
  ])("computes %s from what was measured, and leaves out what was not", (id, wanted) => {
    expect(valuesOf(id)).toEqual(wanted);
  });

  it("says nothing of products unless all of them were measured", () => {
    const some = madeCheck({
      ceilings: { figures: { copy: 4000 } },
      cublas: { notes: { "vicuna-7b qkv, 8 rows: GB/s": 3900 } },
    });
    expect(evaluateTargets(some)).toEqual([]);
  });

  it("takes a failed check of bits for a target missed", () => {
    expect(valuesOf("exact-bits", madeCheck({ rows: { passed: 5, failed: 1 } }))).toEqual({
      "": [0, false],
    });
  });

  it("meets bounds at their very value, but for more than", () => {
    expect(isMet({ kind: "at least", value: 0.9 }, 0.9)).toBe(true);
    expect(isMet({ kind: "at most", value: 1.25 }, 1.25)).toBe(true);
    expect(isMet({ kind: "at most", value: 1.25 }, 1.26)).toBe(false);
    expect(isMet({ kind: "more than", value: 1 }, 1)).toBe(false);
  });

  it("is Markdown with a row for each target measured, and marks what is missed", () => {
    const markdown = targetsMarkdown(goodCheck);
    expect(markdown).toContain("on a GPU, 9.0;");
    expect(markdown).toContain(
      "| Hydra++ step over 63 drafts, in plain steps | ≤ 1.25 | vicuna-7b: 1.20 (512 tokens) | yes |",
    );
    expect(markdown).toContain(
      "| ≤ 2.0 % | vicuna-7b: **2.8 %** (512 tokens), 0.5 % (512 tokens, tree) | **no** (1 of 2) |",
    );
    expect(markdown).toContain(
      "vicuna-7b: identical (17 texts)<br>demo: **not identical** (20 texts)",
    );
    expect(markdown).not.toContain("an eager Hydra++ step in torch");
    expect(targetsMarkdown(madeCheck({}))).toBe("Nothing has been measured on a GPU yet.\n");
  });

  it("goes between the markers of a page, again and again", () => {
    const page = "# A\n\n<!-- targets -->\n\nold\n\n<!-- /targets -->\n\nend\n";
    const once = withTargets(page, "| new |\n", "A.md");
    expect(once).toBe("# A\n\n<!-- targets -->\n\n| new |\n\n<!-- /targets -->\n\nend\n");
    expect(withTargets(once, "| new |\n", "A.md")).toBe(once);
    expect(() => withTargets("# A\n", "", "A.md")).toThrow(HydrantError);
  });

  it("is written into a page by the command, from a results file", () => {
    const [results, page] = [join(folder, "gpu.json"), join(folder, "README.md")];
    writeFileSync(results, JSON.stringify(goodCheck));
    writeFileSync(page, "<!-- targets -->\n<!-- /targets -->\n");
    const bench = (...args: string[]) =>
      spawnSync(process.execPath, ["scripts/run.mjs", "bench/main.ts", "targets", ...args], {
        cwd: root,
        encoding: "utf8",
      });
    const { status, stderr } = bench(results, "--write", page);
    expect([status, stderr]).toEqual([0, ""]);
    expect(readFileSync(page, "utf8")).toContain(
      "| Plain decoding: bandwidth reached | ≥ 90.0 % |",
    );
    const wrong = bench(page);
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain("It is no results file");
  });
});

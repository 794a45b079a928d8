import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import {
  parseResults,
  readResultFile,
  uniqueLabels,
} from "../../../../bench/report/result-file.ts";
import { HydrantError } from "../../../../src/util/errors.ts";
import { madeCheck, madeSuite } from "./made-results.ts";

const folder = mkdtempSync(join(tmpdir(), "hydrant-report-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const results = fileURLToPath(new URL("../../../../bench/results/", import.meta.url));

/** The error of reading this as a results file. */
function errorOf(text: string): HydrantError {
  try {
    parseResults(text, "some/file.json");
  } catch (error) {
    if (error instanceof HydrantError) return error;
    throw error;
  }
  throw new Error("it was read");
}

describe("reading results files", () => {
  it("tells the kinds apart, and keeps every field that is shown", () => {
    const made = madeSuite();
    expect(parseResults(JSON.stringify(made), "a/made.json")).toEqual({
      label: "made",
      kind: "suite",
      results: made,
    });
    expect(parseResults(JSON.stringify(madeCheck()), "gpu.json")).toEqual({
      label: "gpu",
      kind: "gpu check",
      results: madeCheck(),
    });
    const path = join(results, "decode-cpu-2-cores.json");
    expect(readResultFile(path)).toEqual({
      label: "decode-cpu-2-cores",
      kind: "decode",
      results: JSON.parse(readFileSync(path, "utf8")),
    });
  });

  it("takes no notice of fields it does not know", () => {
    const made = { ...madeSuite(), later: { version: 2 } };
    expect(parseResults(JSON.stringify(made), "made.json")).toMatchObject({ kind: "suite" });
  });

  it("reads null as NaN: JSON has no median of no values", () => {
    const check = JSON.stringify(madeCheck()).replace('"seconds":2', '"seconds":null');
    const file = parseResults(check, "gpu.json");
    expect(file.kind === "gpu check" && file.results.parts.driver?.seconds).toBeNaN();
  });

  it("says clearly what is not one of ours", () => {
    expect(errorOf('{"name": "hydrant", "version": "0.1.0"}')).toMatchObject({
      code: "report/not-results",
      path: "some/file.json",
    });
    expect(errorOf("[1, 2]").code).toBe("report/not-results");
    expect(errorOf("null").code).toBe("report/not-results");
    expect(errorOf("# Results").code).toBe("report/not-json");
  });

  it("names the field that is wrong", () => {
    const made = JSON.stringify(madeSuite());
    expect(errorOf(made.replace('"rows":8', '"rows":"8"'))).toMatchObject({
      code: "report/bad-field",
      message: 'Field entries[1].rows must be a number; it is "8".',
    });
    expect(errorOf(made.replace('"hydrant bench 1"', '"hydrant bench 2"')).message).toContain(
      '"hydrant bench 2"',
    );
    expect(errorOf(made.replace('"suite":"kernels"', '"suite":"kernel"')).message).toContain(
      'Field entries[0].suite must be one of "kernels", "steps", "decode"',
    );
    expect(errorOf(made.replace('"median"', '"mean"')).message).toMatch(
      /^Field entries\[0\]\.figures\.time\.median must be a number; it is missing\.$/,
    );
  });

  it("fails with an error of ours or not at all, whatever is damaged", () => {
    const text = JSON.stringify({ ...madeSuite(), entries: madeSuite().entries.slice(0, 2) });
    const place = fc.nat(text.length - 1);
    fc.assert(
      fc.property(place, fc.constantFrom("{", "}", "1", '"', "null", "[", ""), (at, other) => {
        try {
          parseResults(text.slice(0, at) + other + text.slice(at + 1), "damaged.json");
        } catch (error) {
          expect(error).toBeInstanceOf(HydrantError);
        }
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it("names the file that cannot be read", () => {
    const path = join(folder, "missing.json");
    expect(() => readResultFile(path)).toThrow(
      expect.objectContaining({ code: "report/cannot-read", path }),
    );
  });

  it("keeps files of the same name apart", () => {
    const path = join(folder, "one.json");
    writeFileSync(path, JSON.stringify(madeCheck()));
    const files = uniqueLabels([path, path, path].map(readResultFile));
    expect(files.map(({ label }) => label)).toEqual(["one", "one (2)", "one (3)"]);
  });
});

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeDirectory } from "../../../src/util/make-directory.ts";

it("makes missing parents, and what is there already stays", () => {
  const folder = mkdtempSync(join(tmpdir(), "hydrant-make-"));
  makeDirectory(join(folder, "a/b/c"));
  makeDirectory(join(folder, "a/b/c"));
  expect(existsSync(join(folder, "a/b/c"))).toBe(true);
  rmSync(folder, { recursive: true });
});

it.skipIf(!existsSync("/proc/self"))("gives up where a file system takes no directories", () => {
  expect(() => makeDirectory("/proc/nowhere/deep")).toThrow(/ENOENT/);
});

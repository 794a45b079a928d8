import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { saveInspection } from "../../src/index.ts";
import { hydra } from "../helpers/cli.ts";

/** One kernel: all of them compile for longer than it takes to compare. */
const subject = { model: "demo/model/base", heads: "demo/model/heads/hydra" };
const flags = ["--model", subject.model, "--heads", subject.heads, "--kernel", "embedding"];
const inspect = (...args: string[]) => hydra(["inspect", ...flags, "--arch", "sm_80", ...args]);

describe("hydra inspect --diff", () => {
  let folder = "";
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "hydrant-diff-"));
    await saveInspection(join(folder, "saved"), {
      ...subject,
      kernel: "embedding",
      arch: "sm_80",
      sass: "no",
    });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("finds a build the same as itself saved before, and exits with 0", async () => {
    const { code, stdout } = await inspect("--diff", join(folder, "saved"));
    expect(code).toBe(0);
    expect(stdout).toContain("identical: 1 kernel, the same CUDA and figures");
  });

  it("shows what another tree changes in a kernel, and exits with 1", async () => {
    const { code, stdout } = await inspect("--tree", "chain-4", "--diff", join(folder, "saved"));
    expect(code).toBe(1);
    expect(stdout).toContain("1 kernel: 1 changed, 0 the same, 0 only before, 0 only after");
    expect(stdout).toMatch(/^ {2}grid +64×1×1 → 5×1×1$/m);
    expect(stdout).toMatch(/^\+ +const auto f_gather = .*in_reshape\[0\]/m);
  });

  it("compares with other flags over the same command, as JSON", async () => {
    const { code, stdout } = await inspect("--json", "--diff", "--tree 'chain-4'");
    expect(code).toBe(1);
    const { before, after, pairs } = JSON.parse(stdout);
    expect([before.title, after.title]).toEqual([
      expect.stringContaining("chain-4, sm_80"),
      expect.stringContaining("mc_sim_7b_63, sm_80"),
    ]);
    expect(pairs).toMatchObject([{ identical: false, patch: expect.stringContaining("@@") }]);
  });

  it.each([
    ["a folder that is not there", "nowhere", "There is no saved inspection."],
    ["a flag that does not exist", "--arhc sm_80", "unknown option"],
  ])("exits with 2 for %s", async (_, other, message) => {
    const { code, stdout, stderr } = await inspect("--diff", other);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
  });
});

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { hydra } from "../helpers/cli.ts";

const home = mkdtempSync(join(tmpdir(), "hydrant-inspect-"));
afterAll(() => rmSync(home, { recursive: true }));

describe("hydra inspect", { timeout: 60_000 }, () => {
  it("writes folders of kernels and says so, with what it could not make", async () => {
    const out = join(home, "kernels");
    const args = ["--shape", "demo", "--kernel", "finish", "--out", out];
    const none = { HYDRANT_NVRTC: join(home, "nowhere") };
    const { code, stdout, stderr } = await hydra(["inspect", ...args], { env: none });
    expect(stderr).toMatch(/^hydra: not compiled: .*HYDRANT_NVRTC leads to no libnvrtc/);
    expect(code).toBe(0);
    expect(stdout).toContain(`kernels named finish in ${out}`);
    const [folder = ""] = readdirSync(out).filter((name) => name.startsWith("finish_"));
    expect(readdirSync(join(out, folder)).sort()).toEqual([
      "graph.txt",
      "kernel.cu",
      "reference.cu",
      "spec.json",
    ]);
  });

  it("refuses two models, and a stage that needs what is not there", async () => {
    const two = await hydra(["inspect", "--shape", "demo", "--model", "demo/model/base"]);
    expect(two).toMatchObject({ code: 2, stdout: "" });
    const ptx = await hydra(["inspect", "--shape", "demo", "--stage", "ptx"], {
      env: { HYDRANT_NVRTC: join(home, "nowhere") },
    });
    expect(ptx).toMatchObject({ code: 1, stdout: "" });
    expect(ptx.stderr).toMatch(/HYDRANT_NVRTC leads to no libnvrtc/);
  });
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const without = installedNvrtc().length === 0;

it.skipIf(without)(
  `the GPU check runs on the emulator ${without ? NO_NVRTC : ""}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), "hydrant-gpu-check-"));
    const out = join(folder, "results.json");
    const { status, stdout } = spawnSync(
      process.execPath,
      ["scripts/run.mjs", "bench/gpu-check/main.ts"].concat([
        "--device",
        "emulator",
        "--only",
        "device",
        "ops",
        "--out",
        out,
      ]),
      { cwd: root, encoding: "utf8" },
    );
    const { ops } = JSON.parse(readFileSync(out, "utf8")).parts;
    rmSync(folder, { recursive: true });
    expect(ops, stdout).toMatchObject({ status: "passed", failed: [] });
    expect(ops.passed).toBeGreaterThan(15);
    expect(status).toBe(0);
  },
  120_000,
);

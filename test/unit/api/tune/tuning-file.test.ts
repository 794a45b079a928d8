import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { kernelsVersion, tuningIdentity } from "../../../../src/api/tune/identity.ts";
import {
  findTuning,
  mergeTuning,
  parseTuning,
  readTuning,
  type TunedKernel,
  type TuningFile,
  tuningFormat,
  tuningPath,
  writeTuning,
} from "../../../../src/api/tune/tuning-file.ts";

const identity = tuningIdentity({
  name: "NVIDIA H200",
  driverMajor: 13,
  nvrtc: "13.0",
  arch: "sm_90a",
  multiprocessors: 132,
});
const kernel = (key: string, chosen: string): TunedKernel => ({
  key,
  label: "layers.0.q_proj",
  launches: 32,
  chosen,
  reason: "because",
  candidates: [
    { name: "usual", median: 3, least: 2, most: 4 },
    { name: "other", refused: "it spills 8 bytes" },
  ],
  made: "2026-01-02T03:04:05.678Z",
  rounds: 15,
});
const file: TuningFile = {
  format: tuningFormat,
  identity,
  unit: "us",
  kernels: [kernel("a", "usual"), kernel("b", "other")],
};

describe("a tuning file", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "hydrant-tuning-"));
    vi.stubEnv("HYDRANT_CACHE_DIR", folder);
    vi.stubEnv("HYDRANT_TUNING", undefined);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  it("comes back as it was written, and gives its choices to the device it is of", () => {
    const path = tuningPath(identity);
    writeTuning(path, file);
    expect(readTuning(path)).toEqual(file);
    const { tuning, state } = findTuning(identity);
    expect(tuning).toEqual({ choices: { a: "usual", b: "other" } });
    expect(state).toMatchObject({
      status: "used",
      path,
      detail: "kernels measured: 2, not as usual: 1",
    });
    expect(readdirSync(join(folder, "tuning"))).toEqual(["nvidia-h200-sm-90a.json"]);
  });

  it("is not missed where nothing was measured", () => {
    expect(findTuning(identity).state.status).toBe("none");
    expect(findTuning(identity).tuning).toBeUndefined();
  });

  it.each([
    [{ name: "NVIDIA H100" }, "device NVIDIA H200, not NVIDIA H100"],
    [{ driverMajor: 12 }, "driver of CUDA 13, not 12"],
    [{ nvrtc: "12.4" }, "NVRTC 13.0, not 12.4"],
    [{ multiprocessors: 78 }, "multiprocessors 132, not 78"],
    [{ kernels: "0123" }, "kernels have changed since"],
  ])("is ignored with the reason where something else is at hand: %o", (here, reason) => {
    vi.stubEnv("HYDRANT_TUNING", join(folder, "own.json"));
    writeTuning(join(folder, "own.json"), file);
    const { tuning, state } = findTuning({ ...identity, ...here });
    expect(tuning).toBeUndefined();
    expect(state).toMatchObject({ status: "ignored", detail: `it was made for: ${reason}` });
  });

  it.each([
    ["cut short", JSON.stringify(file).slice(0, 300), /JSON/],
    ["another format", JSON.stringify({ ...file, format: "hydrant-tuning-0" }), /damaged/],
    ["a list", "[]", /damaged/],
    [
      "a choice that was no candidate",
      JSON.stringify({ ...file, kernels: [kernel("a", "third")] }),
      /damaged/,
    ],
    [
      "a time that is no number",
      JSON.stringify({
        ...file,
        kernels: [{ ...kernel("a", "usual"), candidates: [{ name: "usual", median: "3" }] }],
      }),
      /damaged/,
    ],
  ])("is ignored when it is damaged: %s", (_, text, reason) => {
    const path = join(folder, "own.json");
    writeFileSync(path, text);
    expect(() => parseTuning(text)).toThrow();
    const { tuning, state } = findTuning(identity, { HYDRANT_TUNING: path });
    expect(tuning).toBeUndefined();
    expect(state.status).toBe("ignored");
    expect(state.detail).toMatch(reason);
  });

  it("that was asked for and is not there is ignored with the reason", () => {
    const { state } = findTuning(identity, { HYDRANT_TUNING: join(folder, "none.json") });
    expect(state).toMatchObject({ status: "ignored" });
    expect(state.detail).toContain("ENOENT");
  });

  it("is not looked at with HYDRANT_TUNING=off", () => {
    writeTuning(tuningPath(identity), file);
    expect(findTuning(identity, { HYDRANT_TUNING: "off" })).toEqual({
      state: { status: "off", detail: "HYDRANT_TUNING is off" },
    });
  });

  it("keeps what an earlier run measured of other kernels, on the same device only", () => {
    const newer = { ...file, kernels: [kernel("b", "usual"), kernel("c", "usual")] };
    expect(mergeTuning(file, newer).kernels.map(({ key, chosen }) => `${key} ${chosen}`)).toEqual([
      "a usual",
      "b usual",
      "c usual",
    ]);
    const foreign = { ...file, identity: { ...identity, nvrtc: "12.4" } };
    expect(mergeTuning(foreign, newer)).toEqual(newer);
    expect(mergeTuning({ ...file, unit: "instructions" }, newer)).toEqual(newer);
    expect(mergeTuning(undefined, newer)).toEqual(newer);
  });

  it("that cannot be written is a HydrantError, and leaves nothing behind", () => {
    writeFileSync(join(folder, "taken"), "");
    expect(() => writeTuning(join(folder, "taken", "file.json"), file)).toThrow(
      expect.objectContaining({ code: "tune/file" }),
    );
    expect(readdirSync(folder)).toEqual(["taken"]);
  });
});

it("the version of the kernels is that of their texts", () => {
  expect(kernelsVersion()).toMatch(/^[0-9a-f]{16}$/);
  expect(kernelsVersion()).toBe(kernelsVersion());
});

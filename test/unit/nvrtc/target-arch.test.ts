import { describe, expect, it } from "vitest";
import { targetArch } from "../../../runtime/nvrtc/target-arch.ts";

const nvrtc11 = { version: { major: 11, minor: 8 }, supportedArchs: [70, 75, 80, 86, 87, 89, 90] };
const nvrtc13 = { version: { major: 13, minor: 0 }, supportedArchs: [75, 80, 86, 90, 100, 120] };

describe("the architecture to compile for", () => {
  it.each([
    [nvrtc11, 8, 0, "sm_80"],
    [nvrtc11, 9, 0, "sm_90"],
    [nvrtc13, 8, 6, "sm_86"],
    [nvrtc13, 9, 0, "sm_90a"],
    [nvrtc13, 12, 0, "sm_120a"],
    [nvrtc11, 10, 0, "compute_90"],
    [nvrtc13, 10, 3, "compute_100"],
  ])("suits compiler %# and compute capability %i.%i", (nvrtc, major, minor, arch) => {
    expect(targetArch(nvrtc, { major, minor })).toBe(arch);
  });
});

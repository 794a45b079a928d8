import { describe } from "vitest";
import { createCudaExecutor } from "../../src/api/compile-program.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { opCases } from "../conformance/op-cases.ts";

describe.skipIf(installedNvrtc().length === 0)(`on the emulator (${NO_NVRTC})`, () => {
  describe.each(["f32", "stored"] as const)("with %s activations", (activations) => {
    opCases(
      () =>
        createCudaExecutor({
          driver: "emulator",
          ordinal: 0,
          activations,
          emulator: { sanitizer: true },
        }),
      { activations },
    );
  });
});

import { describe } from "vitest";
import { opCases } from "../conformance/op-cases.ts";
import { emulatedExecutor, onTheEmulator, withoutNvrtc } from "./emulated-executor.ts";

describe.skipIf(withoutNvrtc)(onTheEmulator, () => {
  describe.each(["f32", "stored"] as const)("with %s activations", (activations) => {
    opCases(() => emulatedExecutor(activations, activations === "f32" ? "9.0" : "8.0"), {
      activations,
    });
  });
});

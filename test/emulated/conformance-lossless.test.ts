import { describe } from "vitest";
import { losslessness } from "../conformance/losslessness.ts";
import { emulatedExecutor, onTheEmulator, withoutNvrtc } from "./emulated-executor.ts";

describe.skipIf(withoutNvrtc)(onTheEmulator, { timeout: 240_000 }, () => {
  describe.each(["stored"] as const)("with %s activations", (activations) => {
    losslessness(() => emulatedExecutor(activations, "9.0"), { models: 1, tokens: 12 });
  });
});

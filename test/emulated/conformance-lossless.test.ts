import { describe } from "vitest";
import { losslessness } from "../conformance/losslessness.ts";
import { emulatedExecutor, onTheEmulator, withoutNvrtc } from "./emulated-executor.ts";

describe.skipIf(withoutNvrtc)(onTheEmulator, { timeout: 240_000 }, () => {
  describe.each(["stored"] as const)("with %s activations", (activations) => {
    losslessness(() => emulatedExecutor(activations), { models: 1, tokens: 12 });
  });
});

import { describe } from "vitest";
import { goldenTraces } from "../conformance/golden-traces.ts";
import { emulatedExecutor, onTheEmulator, withoutNvrtc } from "./emulated-executor.ts";

describe.skipIf(withoutNvrtc)(onTheEmulator, { timeout: 240_000 }, () => {
  goldenTraces(() => emulatedExecutor("f32", "8.0"), { runs: 1 });
});

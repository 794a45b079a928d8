import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadModel } from "../../src/index.ts";
import type { RankRecord } from "../../src/speculation/rank-record.ts";
import { onTheEmulator, withoutNvrtc } from "./emulated-executor.ts";

const demo = (name: string) => fileURLToPath(new URL(`../../demo/model/${name}`, import.meta.url));

describe.skipIf(withoutNvrtc)(`ranks of drafts, ${onTheEmulator}`, () => {
  it("are the CPU's, in f32", { timeout: 120_000 }, async () => {
    const ranksOn = async (device: string): Promise<RankRecord> => {
      await using model = await loadModel(demo("base"), {
        heads: demo("heads/hydra-plus-plus"),
        device,
        precision: "f32",
        contextLength: 32,
      });
      const tokens = model.promptTokens({ prompt: "Once upon a time there was a king who" });
      const meter = model.rankMeter();
      const record = await meter.measure(tokens.slice(0, 6), tokens.slice(6));
      meter.dispose();
      return record;
    };
    const onCpu = await ranksOn("cpu");
    expect(onCpu.length).toBeGreaterThan(3);
    expect(await ranksOn("emulator")).toEqual(onCpu);
  });
});

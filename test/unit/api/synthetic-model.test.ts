import { describe, expect, it } from "vitest";
import { syntheticModel } from "../../../src/index.ts";

describe("a model with made-up weights", () => {
  it("decodes token ids, with heads as without", async () => {
    const request = { tokens: [5, 6, 7], maxNewTokens: 12 };
    const results = [];
    for (const heads of [undefined, "hydra++", "hydra", "medusa"]) {
      const model = await syntheticModel("demo", { heads, device: "cpu", contextLength: 128 });
      expect(model.method).toBe(heads ?? "autoregressive");
      expect(model.weightBytes).toBeGreaterThan(2 * 4e6);
      results.push((await model.generate({ ...request, method: model.method })).tokens);
      expect(() => model.tokenizer).toThrow("no tokenizer");
      await model.dispose();
    }
    const [plain, ...others] = results;
    expect(plain).toHaveLength(12);
    for (const tokens of others) expect(tokens).toEqual(plain);
  });

  it("names unknown shapes and heads before it opens a device", async () => {
    await expect(syntheticModel("demo-7b", { device: "nowhere" })).rejects.toMatchObject({
      code: "config/unknown-shape",
    });
    await expect(
      syntheticModel("demo", { heads: "eagle", device: "nowhere" }),
    ).rejects.toMatchObject({ code: "config/unknown-heads" });
  });
});

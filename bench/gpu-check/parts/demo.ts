import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type GenerateOptions, loadModel } from "../../../src/index.ts";
import type { PartContext } from "../part.ts";

const folder = join(
  fileURLToPath(new URL("../../../", import.meta.url)).replace(/dist[\\/]$/, ""),
  "demo",
);
const base = join(folder, "model", "base");

const samplings: readonly (GenerateOptions & { readonly name: string })[] = [
  { name: "greedy" },
  { name: "sampled", temperature: 0.8, topP: 0.95, seed: 7 },
  { name: "sampled with a penalty", temperature: 1, topK: 40, repetitionPenalty: 1.1, seed: 8 },
];

/** The demo model through the public interface: text of every method and sampling, token by token. */
export async function run(part: PartContext): Promise<void> {
  const { small, device } = part;
  const prompts = JSON.parse(readFileSync(join(folder, "prompts.json"), "utf8")) as string[];
  const asked = prompts.slice(0, small ? 1 : 3);
  const maxNewTokens = small ? 4 : 96;
  const used = small ? samplings.slice(0, 1) : samplings;
  const contextLength = small ? 64 : undefined;
  const texts = async (heads: string | undefined, method: string | undefined) => {
    const model = await loadModel(base, {
      device,
      contextLength,
      heads: heads && join(folder, "model", "heads", heads),
    });
    const results = new Map<string, readonly number[]>();
    try {
      for (const { name, ...options } of used) {
        let steps = 0;
        let tokens = 0;
        const rates: number[] = [];
        for (const prompt of asked) {
          const result = await model.generate({
            ...options,
            prompt,
            maxNewTokens,
            ignoreEos: true,
            method: method ?? model.method,
          });
          results.set(`${name}: ${prompt.slice(0, 24)}`, result.tokens);
          steps += result.stats.steps;
          tokens += result.stats.steps * result.stats.tokensPerStep;
          rates.push(result.stats.tokensPerSecond);
        }
        const what = `${heads ?? "plain"}${method === "auto" ? " auto" : ""}, ${name}`;
        part.figure(`${what}: speed`, "tokens/s", rates);
        part.note(`${what}: tokens per step`, tokens / steps);
      }
    } finally {
      await model.dispose();
    }
    return results;
  };
  const plain = await texts(undefined, undefined);
  for (const heads of small ? ["hydra-plus-plus"] : ["medusa", "hydra", "hydra-plus-plus"]) {
    for (const method of small ? [undefined] : [undefined, "auto"]) {
      await part.check(
        `${heads}${method ? `, ${method}` : ""}: plain decoding's tokens`,
        async () => assert.deepEqual(await texts(heads, method), plain),
      );
    }
  }
}

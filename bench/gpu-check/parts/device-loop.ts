import assert from "node:assert/strict";
import type { PartContext } from "../part.ts";
import { type PlayedText, playShape, tokensOf } from "../play-steps.ts";

const full: PlayedText = {
  contextLength: 1024,
  prefillRows: 512,
  promptTokens: 512,
  newTokens: 400,
};
const small: PlayedText = { contextLength: 64, prefillRows: 16, promptTokens: 8, newTokens: 6 };

/**
 * Steps that follow each other on the device against steps launched one by one: the same tokens, and
 * what a step takes either way. The small model's steps are launches and little else.
 */
export async function run(part: PartContext): Promise<void> {
  if (process.env.HYDRANT_LOOP === "off") {
    part.skip("steps on the device", "HYDRANT_LOOP is off");
    return;
  }
  for (const shape of part.small ? ["demo"] : ["demo", "vicuna-7b"]) {
    const alone = await timeShape(part, shape, 1);
    const looped = await timeShape(part, shape, undefined);
    for (const [name, tokens] of alone) {
      await part.check(`${shape}, ${name}: the tokens of steps launched one by one`, () => {
        assert.deepEqual(looped.get(name), tokens);
      });
    }
  }
}

async function timeShape(
  part: PartContext,
  shape: string,
  loopRuns: number | undefined,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const launches = loopRuns === undefined ? {} : { loopRuns };
  const played = await playShape(part, shape, part.small ? small : full, launches);
  for (const [name, steps] of played) {
    // The first ones begin with what the host did for the prompt.
    const ms = steps.slice(part.small ? 0 : 8).map((step) => step.ms);
    const mean = ms.reduce((sum, value) => sum + value, 0) / ms.length;
    const how = loopRuns === 1 ? "launched one by one" : "on the device";
    part.figure(`${shape}, ${name}, ${how}`, "ms", ms);
    part.note(`${shape}, ${name}, ${how}: mean, ms`, mean);
  }
  return new Map([...played].map(([name, steps]) => [name, tokensOf(steps)]));
}

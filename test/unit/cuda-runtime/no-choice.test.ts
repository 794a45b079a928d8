import { expect, it } from "vitest";
import { Decoder } from "../../../runtime/decoder.ts";
import type { Session } from "../../../runtime/executor.ts";
import { GraphBuilder } from "../../../src/ir/builder.ts";
import { rootOnly } from "../../../src/speculation/tree.ts";

/** A device whose steps commit `counts` tokens, one run after the other. */
function sessionOf(counts: readonly number[]): Session {
  const left = counts.values();
  const one = () => Int32Array.of(5);
  return {
    compile: () => ({
      run: () => ({
        tree: one(),
        path: Int32Array.of(0),
        following: one(),
        count: Int32Array.of(left.next().value ?? 0),
      }),
      dispose: () => {},
    }),
    readState: one,
    writeState: () => {},
    dispose: () => {},
  };
}

it("tells that no token could be chosen when a step commits none, and goes on afterwards", async () => {
  const graph = new GraphBuilder("empty").finish();
  const limits = { contextLength: 10, prefillRows: 4 };
  const decoder = new Decoder(sessionOf([1, 0, 1]), { prefill: graph, step: () => graph }, limits);
  const inputs = { sampling: new Float32Array(7), seed: 0n };
  await decoder.step(rootOnly, inputs);
  await expect(decoder.step(rootOnly, inputs)).rejects.toMatchObject({
    code: "sampling/no-choice",
    message: "All logits after a token are NaN or -Infinity.",
  });
  expect(decoder.tokens).toEqual([5]);
  expect((await decoder.step(rootOnly, inputs)).committed).toEqual([5]);
});

import { afterAll, beforeAll, describe, it } from "vitest";
import type { Executor } from "../../runtime/executor.ts";
import { drafterKinds } from "../helpers/random-model.ts";
import {
  checkDraftsAreAccepted,
  checkLossless,
  checkNodeLogits,
  type Extent,
  losslessSamplings,
} from "./lossless-checks.ts";

/** Speculative decoding gives the tokens of plain decoding, whatever the model, heads, tree and sampling. */
export function losslessness(
  makeExecutor: () => Executor | Promise<Executor>,
  extent: Extent = {},
): void {
  let executor: Executor;
  beforeAll(async () => {
    executor = await makeExecutor();
  });
  afterAll(() => executor.dispose());

  describe.each(drafterKinds)("speculation with %s heads on random models", (kind) => {
    it.each(losslessSamplings)("gives plain decoding's tokens: $name", (sampling) =>
      checkLossless(executor, kind, sampling, extent),
    );
  });

  it("accepts drafts in those tests, so that they test something", () =>
    checkDraftsAreAccepted(executor));

  it("gives a node of a 64-node step the very logits of a one-row step", () =>
    checkNodeLogits(executor, extent));
}

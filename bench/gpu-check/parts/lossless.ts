import {
  checkDraftsAreAccepted,
  checkLossless,
  checkNodeLogits,
  losslessSamplings,
} from "../../../test/conformance/lossless-checks.ts";
import { drafterKinds } from "../../../test/helpers/random-model.ts";
import { withExecutor } from "../executors.ts";
import type { PartContext } from "../part.ts";

/** Small models of random shapes: speculation gives plain decoding's tokens. */
export async function run(part: PartContext): Promise<void> {
  const extent = part.small ? { models: 1, tokens: 8 } : { models: 2, tokens: 32 };
  const kinds = part.small ? drafterKinds.slice(0, 1) : drafterKinds;
  const samplings = part.small ? losslessSamplings.slice(1, 2) : losslessSamplings;
  await withExecutor(part, "stored", async (executor) => {
    for (const kind of kinds) {
      for (const sampling of samplings) {
        await part.check(`${kind}, ${sampling.name}`, () =>
          checkLossless(executor, kind, sampling, extent),
        );
      }
    }
    if (part.small) return;
    await part.check("drafts are accepted", () => checkDraftsAreAccepted(executor));
    await part.check("a node of 64 has the logits of a row alone", () =>
      checkNodeLogits(executor, extent),
    );
  });
}

import type { Decoder, StepInputs } from "../../runtime/decoder.ts";
import type { CostModel } from "../speculation/step-costs.ts";
import { rootOnly, type TreeTopology } from "../speculation/tree.ts";

/** Enough for a median that one pause does not move. */
const runs = 5;

/**
 * Times a step with each tree, on a decoder of its own, for the `auto` policy.
 *
 * A step with a tree commits at most maxDepth + 1 tokens, so a tree that costs that many plain steps
 * can never pay; larger trees then cost more still and are not run. What a policy has no cost for
 * it does not play.
 * @param trees small to large.
 */
export async function measureSteps(
  decoder: Decoder,
  trees: readonly TreeTopology[],
  costs: CostModel,
  inputs: StepInputs,
): Promise<void> {
  const time = async (tree: TreeTopology): Promise<number> => {
    const samples: number[] = [];
    // The first run compiles and warms up.
    for (let run = 0; run <= runs; run++) {
      const from = performance.now();
      await decoder.step(tree, inputs);
      if (run > 0) samples.push(performance.now() - from);
    }
    for (const ms of samples) costs.record(tree, decoder.tokens.length, ms);
    return samples.sort((a, b) => a - b)[runs >> 1] ?? Number.POSITIVE_INFINITY;
  };
  await decoder.start([0, 0, 0, 0, 0, 0, 0, 0], inputs);
  const plain = await time(rootOnly);
  for (const tree of trees) {
    if (tree.maxDepth > decoder.room) continue;
    if ((await time(tree)) > plain * (tree.maxDepth + 1)) return;
  }
}

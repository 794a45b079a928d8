import type { Decoder, StepInputs } from "../../runtime/decoder.ts";
import { eventLoopTurn } from "../../runtime/event-loop.ts";
import type { CostModel } from "../speculation/step-costs.ts";
import { rootOnly, type TreeTopology } from "../speculation/tree.ts";

/** Rounds over all trees: in turns, so that a busy moment of the machine meets them all alike. */
const rounds = 5;

/** With a slow model one round must do. */
const patienceMs = 1000;

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
  const begin = Array.from({ length: 8 }, () => 0);
  // In so short a context nothing is worth measuring: what has no cost is not played.
  if (decoder.contextLength < begin.length + 3) return;
  const time = async (tree: TreeTopology): Promise<number> => {
    await eventLoopTurn();
    if (decoder.room < 2 * (tree.maxDepth + 1)) await decoder.start(begin, inputs);
    // The step before brings code and weights into the caches.
    await decoder.step(tree, inputs);
    const from = performance.now();
    await decoder.step(tree, inputs);
    return performance.now() - from;
  };
  await decoder.start(begin, inputs);
  let playable = trees.filter((tree) => 2 * (tree.maxDepth + 1) < decoder.room);
  const started = performance.now();
  for (let round = 0; round < rounds; round++) {
    if (round > 0 && performance.now() - started > patienceMs) return;
    const plain = await time(rootOnly);
    costs.record(rootOnly, decoder.tokens.length, plain);
    for (const [index, tree] of playable.entries()) {
      const ms = await time(tree);
      costs.record(tree, decoder.tokens.length, ms);
      const hopeless = round === 0 && ms > 2 * plain * (tree.maxDepth + 1);
      if (hopeless) playable = playable.slice(0, index);
      if (hopeless) break;
    }
  }
}

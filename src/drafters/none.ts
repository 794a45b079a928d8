import type { Drafter } from "../speculation/drafter.ts";

/** Plain decoding: the tree is its root. */
export function noDrafter(): Drafter {
  return {
    name: "autoregressive",
    maxDepth: 0,
    hiddenStateOffset: 0,
    absorb: () => {},
    draft: (_, __, { root }) => root,
  };
}

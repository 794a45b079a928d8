import type { InspectedBuffer, InspectedLaunch } from "../../src/inspection/inspection.ts";

type Launches = readonly Pick<InspectedLaunch, "args">[];

/**
 * For each launch the longest chain of launches that ends with it, each reading what the one before
 * wrote: with any number of multiprocessors, no less than that would have to run one after another.
 * Memory that is used again for something else makes no chain; neither do counters.
 */
export function dependencyDepths(
  launches: Launches,
  buffers: readonly Pick<InspectedBuffer, "kind">[],
): readonly number[] {
  const written = new Map<number, number>();
  return launches.map(({ args }) => {
    const used = args.flatMap(({ access, buffers: ids = [] }) =>
      ids.flatMap((id) => (buffers[id]?.kind === "counter" ? [] : [{ access, id }])),
    );
    const read = used.filter(({ access }) => access !== "write");
    const depth = 1 + Math.max(0, ...read.map(({ id }) => written.get(id) ?? 0));
    for (const { access, id } of used) if (access !== "read") written.set(id, depth);
    return depth;
  });
}

import type { PartContext } from "../part.ts";
import { compareLaunches } from "../play-steps.ts";

/** Launches that overlap, on their own: where they do not work, the parts that follow do without. */
export async function run(part: PartContext): Promise<void> {
  await compareLaunches(part, { loopRuns: 1 }, { loopRuns: 1, overlapLaunches: false });
}

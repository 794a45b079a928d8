import { afterAll, beforeAll, describe, it } from "vitest";
import type { Executor } from "../../runtime/executor.ts";
import { goldenCases } from "../helpers/golden.ts";
import { goldenChecks, type LoadedGolden, loadGolden } from "./golden-checks.ts";

/** Traces of the original implementation, replayed step by step on an executor. */
export function goldenTraces(
  makeExecutor: () => Executor | Promise<Executor>,
  options: { runs?: number } = {},
): void {
  describe.each(goldenCases)("golden case %s", (name) => {
    let executor: Executor;
    let golden: LoadedGolden;
    beforeAll(async () => {
      executor = await makeExecutor();
      golden = await loadGolden(name, executor);
    });
    afterAll(async () => {
      await golden.close();
      await executor.dispose();
    });

    it.for(goldenChecks.map((one) => [one.name, one] as const))("%s", async ([, one], test) => {
      const reason = one.skip?.(golden);
      test.skip(reason !== undefined, reason);
      await one.check(golden, options.runs);
    });
  });
}

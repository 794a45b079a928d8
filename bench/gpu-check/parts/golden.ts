import { goldenChecks, loadGolden } from "../../../test/conformance/golden-checks.ts";
import { goldenCases } from "../../../test/helpers/golden.ts";
import { withExecutor } from "../executors.ts";
import type { PartContext } from "../part.ts";

/** Traces of the original implementation, in f32 as it computed them. */
export async function run(part: PartContext): Promise<void> {
  await withExecutor(part, "f32", async (executor) => {
    for (const name of part.small ? goldenCases.slice(0, 1) : goldenCases) {
      const golden = await loadGolden(name, executor);
      for (const { name: what, skip, check } of part.small
        ? goldenChecks.slice(2, 3)
        : goldenChecks) {
        const reason = skip?.(golden);
        if (reason !== undefined) part.skip(`${name}: ${what}`, reason);
        else await part.check(`${name}: ${what}`, () => check(golden, part.small ? 1 : undefined));
      }
      await golden.close();
    }
  });
}

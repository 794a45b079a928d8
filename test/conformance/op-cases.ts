import { afterAll, beforeAll, describe, it } from "vitest";
import type { Executor } from "../../runtime/executor.ts";
import { checkOpCase, opCaseTable, type Rounding } from "./op-case-table.ts";

/** Every op of the catalogue against the reference interpreter: one suite for all executors. */
export function opCases(
  makeExecutor: () => Executor | Promise<Executor>,
  rounding?: Rounding,
): void {
  describe.each(opCaseTable)("$op: $name", (opCase) => {
    let executor: Executor;
    beforeAll(async () => {
      executor = await makeExecutor();
    });
    afterAll(() => executor.dispose());

    it("agrees with the reference interpreter", () => checkOpCase(opCase, executor, rounding));
  });
}

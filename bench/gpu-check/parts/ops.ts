import { checkOpCase, opCaseTable } from "../../../test/conformance/op-case-table.ts";
import { withExecutor } from "../executors.ts";
import type { PartContext } from "../part.ts";

/** Every op against the reference interpreter, with activations rounded and not. */
export async function run(part: PartContext): Promise<void> {
  // Without a GPU: one case of an op, and none twice.
  const cases = part.small
    ? opCaseTable.filter(({ op }, index) => opCaseTable.findIndex((one) => one.op === op) === index)
    : opCaseTable;
  const all = part.small ? (["stored"] as const) : (["stored", "f32"] as const);
  for (const activations of all) {
    await withExecutor(part, activations, async (executor) => {
      for (const opCase of cases) {
        await part.check(`${opCase.op}: ${opCase.name} (activations ${activations})`, () =>
          checkOpCase(opCase, executor, { activations }),
        );
      }
    });
  }
}

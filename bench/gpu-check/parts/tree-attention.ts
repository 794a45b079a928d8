import { planSuite, runSuite, type SuiteOptions } from "../../suite/run-suite.ts";
import { attentionName } from "../figure-names.ts";
import type { PartContext } from "../part.ts";

const whole = {
  shapes: ["vicuna-7b", "llama-3.1-8b"],
  rows: [1, 64],
  contexts: [2048, 8192],
  rounds: 9,
};
const small = { shapes: ["demo"], rows: [8], contexts: [64], rounds: 1 };

/** Attention of a tree after a long text, every result checked. */
export async function run(part: PartContext): Promise<void> {
  const options: SuiteOptions = {
    isQuick: part.small,
    checks: true,
    suites: ["kernels"],
    devices: [{ name: part.device, suites: ["kernels"] }],
    filter: "kernels/attention/tree",
    ...(part.small ? small : whole),
  };
  const { entries } = await runSuite(
    planSuite(options),
    { command: "npm run bench -- --suite kernels --filter attention", mostSeconds: 25 },
    { begin: () => {}, done: () => {} },
  );
  for (const { shape, name, rows, figures, check } of entries) {
    const what = attentionName(shape, name, rows);
    if (figures.time !== undefined) {
      const { median, min, max, unit } = figures.time;
      part.figure(what, unit, [min, median, max]);
    }
    if (check.status === "skipped") part.skip(what, check.reason);
    else
      await part.check(what, () => {
        if (check.status === "failed") throw new Error(`${check.against}: ${check.message ?? ""}`);
      });
  }
}

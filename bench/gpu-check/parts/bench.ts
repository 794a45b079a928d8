import type { BenchEntry, BenchResults } from "../../suite/results.ts";
import { planSuite, runSuite, type SuiteOptions } from "../../suite/run-suite.ts";
import type { PartContext } from "../part.ts";

/** Nothing more is begun after this time: the part must end within its limit. */
const mostSeconds = 45;

const whole = {
  suites: ["kernels", "steps"],
  shapes: ["vicuna-7b"],
  rows: [1, 8, 16, 32, 64],
  rounds: 5,
} as const satisfies Partial<SuiteOptions>;
const small = {
  suites: ["kernels"],
  shapes: ["demo"],
  rows: [1],
  filter: "o_proj,rms-norm,greedy",
  rounds: 1,
} as const satisfies Partial<SuiteOptions>;

/**
 * The benchmark suite on the part's device, every result checked. What it measures goes into
 * `…-bench.json` beside the results, which `npm run bench -- --compare` and `bench report` read.
 */
export async function run(part: PartContext): Promise<void> {
  const { device } = part;
  const amount = part.small ? small : whole;
  const options: SuiteOptions = {
    isQuick: part.small,
    checks: true,
    devices: [{ name: device, suites: amount.suites }],
    ...amount,
  };
  const { suites, shapes, rows } = amount;
  const command = `npm run bench -- --device ${device} --suite ${suites.join()} --shapes ${shapes.join()} --rows ${rows.join()} --rounds ${amount.rounds}`;
  const results = await runSuite(
    planSuite(options),
    { command, mostSeconds },
    { begin: () => {}, done: () => {} },
  );
  part.keep("bench.json", `${JSON.stringify(results, null, 1)}\n`);
  part.note("entries", results.entries.length);
  for (const entry of results.entries) await report(part, entry);
  summarise(part, results);
}

function report(part: PartContext, { id, check }: BenchEntry): void | Promise<void> {
  if (check.status === "skipped") {
    part.skip(id, check.reason);
    return;
  }
  return part.check(id, () => {
    if (check.status === "failed")
      throw new Error(`against ${check.against}: ${check.message ?? ""}`);
  });
}

/** The share of the copy bandwidth that each family reaches at one row and at most. */
function summarise(part: PartContext, { entries }: BenchResults): void {
  for (const family of new Set(entries.map((entry) => entry.family))) {
    const shares = entries
      .filter((entry) => entry.family === family)
      .flatMap((entry) => entry.figures["of copy"]?.median ?? []);
    if (shares.length > 0)
      part.note(`${family}: best share of the copy bandwidth`, Math.max(...shares));
  }
}

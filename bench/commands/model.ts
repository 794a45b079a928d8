import { type Command, InvalidArgumentError } from "commander";
import { analyseStep, type StepOptions } from "../model/analyse-step.ts";
import { compareSteps } from "../model/compare-steps.ts";
import { partsTable, summary } from "../model/tables.ts";
import { formatTable } from "../report/tables/terminal.ts";

interface Flags extends Pick<StepOptions, "heads" | "tree" | "arch" | "model"> {
  readonly shape: string;
  readonly context: number;
  readonly bandwidth?: number;
  readonly matrixRate?: number;
  readonly gap?: number;
  readonly tokensPerStep: number;
  readonly json?: boolean;
}

/** `bench model`: what a step must move, compute and take, with no device and no weights. */
export function register(program: Command): void {
  program
    .command("model")
    .description(
      "the analytic model of a step beside a plain one: launches, bytes, chain, least time",
    )
    .option("--shape <name>", "a published shape", "vicuna-7b")
    .option("--model <dir|id>", "a model folder or hub id instead")
    .option("--heads <name|dir|id>", "draft heads (with --shape hydra++, medusa, ...; or none)")
    .option("--tree <name|file.json>", "draft tree (default: mc_sim_7b_63)")
    .option("--context <tokens>", "tokens before the step", positive, 512)
    .option("--arch <sm_XX>", "whose published peaks are the limits", "sm_90a")
    .option("--bandwidth <bytes/s>", "measured, in place of the published one: 4.3e12", positive)
    .option("--matrix-rate <flop/s>", "likewise, of dense 16-bit products", positive)
    .option("--gap <us>", "from the end of a kernel to the next one's start", positive)
    .option(
      "--tokens-per-step <n>",
      "assumed; Hydra++ on Vicuna 7B is published with 3.7",
      positive,
      3.7,
    )
    .option("--json", "one JSON object")
    .action(model);
}

async function model(flags: Flags): Promise<void> {
  const { shape, heads, tree, context, arch, bandwidth, matrixRate, gap, tokensPerStep } = flags;
  const limits = {
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(matrixRate === undefined ? {} : { matrixRate }),
    ...(gap === undefined ? {} : { launchGap: gap }),
  };
  const of = flags.model === undefined ? { shape } : { model: flags.model };
  const step = await analyseStep({ ...of, heads, tree, context, arch, limits });
  const plain = await analyseStep({ ...of, heads: "none", context, arch, limits });
  const comparison = compareSteps(plain, step, tokensPerStep);
  if (flags.json === true) console.log(JSON.stringify(comparison));
  else console.log(`${formatTable(partsTable(comparison))}\n${summary(comparison)}`);
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value)))
    throw new InvalidArgumentError("Not a number above 0.");
  return value;
}

import { type Command, Option } from "commander";
import { type InspectOptions, inspect, inspectStages } from "../../index.ts";
import { wholeNumber } from "../model-options.ts";

interface InspectFlags extends Omit<InspectOptions, "contextLength"> {
  readonly context?: number;
}

export function registerInspect(program: Command): void {
  const command = program
    .command("inspect")
    .description("the launch plan and the CUDA of a model, with no GPU and no weights");
  command
    .option("--model <dir|id>", "model folder, or hub id such as org/name")
    .option("--shape <name>", "a published shape instead: vicuna-7b, llama-3.1-8b, ...")
    .option("--heads <dir|id|name>", "draft heads; with --shape hydra++, hydra or medusa")
    .option("--tree <name>", "draft tree (default: mc_sim_7b_63 with heads)")
    .addOption(
      new Option("--graph <name>", "which graph").choices(["step", "prefill"]).default("step"),
    )
    .addOption(
      new Option("--stage <stage>", "what of it to print").choices(inspectStages).default("plan"),
    )
    .option("--arch <sm_XX>", "architecture to generate for", "sm_90a")
    .option(
      "--multiprocessors <n>",
      "of the GPU (default: usual for the architecture)",
      wholeNumber,
    )
    .addOption(
      new Option("--precision <kind>", "as in generate").choices(["auto", "f32"]).default("auto"),
    )
    .option("--context <tokens>", "tokens the caches have room for", wholeNumber)
    .option("--rows <n>", "with --graph prefill: rows at a time", wholeNumber, 512)
    .option("--kernel <text>", "with --stage cuda: kernels whose name contains this")
    .option("--no-fold", "with --stage plan: every launch, repeated layers too")
    .action(async ({ context, ...flags }: InspectFlags) => {
      if ((flags.model === undefined) === (flags.shape === undefined))
        command.error("error: give exactly one of --model, --shape");
      process.stdout.write(await inspect({ ...flags, contextLength: context }));
    });
}

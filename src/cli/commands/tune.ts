import Table from "cli-table3";
import { type Command, Option } from "commander";
import { type TunedKernel, type TuneOptions, type TuneResult, tune } from "../../index.ts";
import { wholeNumber } from "../model-options.ts";
import { compileProgress } from "../compile-progress.ts";

interface TuneFlags extends Omit<TuneOptions, "onProgress"> {
  readonly json?: boolean;
}

export function registerTune(program: Command): void {
  const command = program
    .command("tune")
    .description("time the configurations of a model's kernels once and keep the fastest")
    .option("--model <dir|id>", "model folder, or hub id such as org/name; no weights are read")
    .option("--shape <name>", "a published shape instead: vicuna-7b, llama-3.1-8b, ...")
    .option(
      "--heads <dir|id|name>",
      "draft heads, or none; with --shape hydra++ (default), hydra or medusa",
    )
    .option("--tree <name|file.json>", "draft tree (default: mc_sim_7b_63 with heads)")
    .addOption(
      new Option("--precision <kind>", "as in generate").choices(["auto", "f32"]).default("auto"),
    )
    .option("--device <name>", "cuda, cuda:N, or emulator (counts instructions)", "cuda")
    .option("--rounds <n>", "how often every configuration is timed", wholeNumber, 15)
    .option("--kernel <text>", "only kernels whose key or name contains this")
    .option("--out <file>", "where measurements go (default: the cache folder, used from then on)")
    .option("--json", "print what was measured as one JSON object")
    .action(async ({ json, ...options }: TuneFlags) => {
      if ((options.model === undefined) === (options.shape === undefined))
        command.error("error: give exactly one of --model, --shape");
      const progress = compileProgress();
      try {
        const result = await tune({ ...options, onProgress: progress.update });
        progress.stop();
        process.stdout.write(
          json === true ? `${JSON.stringify(result.file)}\n` : describeTuning(result),
        );
      } finally {
        progress.stop();
      }
    });
}

/** A row for each kernel, and where everything is. */
export function describeTuning({ path, file, kernels }: TuneResult): string {
  const unit = file.unit === "us" ? "\u00b5s" : "instr.";
  const table = new Table({
    head: ["kernel", `usual, ${unit}`, `chosen, ${unit}`, "of", "choice"],
    colAligns: ["left", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
    wordWrap: true,
    colWidths: [46, null, null, null, 52],
  });
  for (const kernel of kernels) {
    const time = (name: string | undefined) =>
      figure(kernel.candidates.find((candidate) => candidate.name === name)?.median);
    table.push([
      kernel.key,
      time(kernel.candidates[0]?.name),
      time(kernel.chosen),
      kernel.candidates.length,
      choiceOf(kernel),
    ]);
  }
  const changed = kernels.filter(({ chosen, candidates }) => chosen !== candidates[0]?.name);
  const refused = kernels.flatMap(({ key, candidates }) =>
    candidates.flatMap((candidate) =>
      candidate.refused === undefined ? [] : [`${key}: ${candidate.name}: ${candidate.refused}\n`],
    ),
  );
  const many = kernels.length === 1 ? "kernel" : "kernels";
  return `${table.toString()}\n${refused.join("")}${changed.length} of ${kernels.length} ${many} not as usual, on ${file.identity.name}; all measurements are in ${path}\n`;
}

function choiceOf({ chosen, candidates, reason }: TunedKernel): string {
  return chosen === candidates[0]?.name ? reason : `${chosen}: ${reason}`;
}

const figure = (value: number | undefined): string =>
  value === undefined ? "" : value >= 1000 ? value.toFixed(0) : value.toPrecision(3);

import { type Command, Option } from "commander";
import {
  type InspectOptions,
  type Inspection,
  type InspectProgramOptions,
  explorerPage,
  inspect,
  inspectProgram,
  inspectStages,
  saveInspection,
} from "../../index.ts";
import { compileProgress } from "../compile-progress.ts";
import { wholeNumber } from "../model-options.ts";
import { OutputFile } from "../output-file.ts";
import { printInspectionDiff } from "./inspect-diff.ts";

/** What the command takes; `--diff` reads the same flags. */
export interface InspectFlags extends Omit<InspectOptions, "contextLength" | "onProgress"> {
  readonly context?: number;
  readonly out?: string;
  readonly html?: string;
  readonly diff?: string;
}

export function registerInspect(program: Command): void {
  const command = addInspectOptions(
    program
      .command("inspect")
      .description("every stage of a model on its way to a GPU, with no GPU and no weights"),
  );
  command
    .addOption(
      new Option("--stage <stage>", "what of it to print").choices(inspectStages).default("plan"),
    )
    .option("--kernel <text>", "of stages about kernels: those whose name contains this")
    .option("--generated", "with --stage cuda: what was generated, without what it includes")
    .option("--no-fold", "with --stage plan: every launch, repeated layers too")
    .option("--json", "with --stage specs or plan, or --diff: JSON")
    .option("--measured <file>", "times of kernels, from a results file of gpu:check")
    .option("--out <dir>", "write a folder for each kernel instead of printing")
    .option("--html <file>", "write a page to explore the program with instead of printing")
    .option(
      "--diff <dir|flags>",
      'compare kernel by kernel with a folder of --out, or with other flags: "--arch sm_80"; exits with 1 when they differ',
    )
    .action(async (flags: InspectFlags) => {
      if ((flags.model === undefined) === (flags.shape === undefined))
        command.error("error: give exactly one of --model, --shape");
      if ([flags.out, flags.html, flags.diff].filter((flag) => flag !== undefined).length > 1)
        command.error("error: give one of --out, --html, --diff");
      const progress = compileProgress();
      const options = { ...inspectOptions(flags), onProgress: progress.update };
      try {
        if (flags.diff !== undefined)
          await printInspectionDiff(flags.diff, options, addInspectOptions);
        else if (flags.html !== undefined) await savePage(flags.html, options);
        else if (flags.out !== undefined) await save(flags.out, options);
        else process.stdout.write(await inspect(options));
      } finally {
        progress.stop();
      }
    });
}

/** What is looked at; the flags of `InspectProgramOptions`. */
export function addInspectOptions(command: Command): Command {
  return command
    .option("--model <dir|id>", "model folder, or hub id such as org/name")
    .option("--shape <name>", "a published shape instead: vicuna-7b, llama-3.1-8b, ...")
    .option(
      "--heads <dir|id|name>",
      "draft heads, or none; with --shape hydra++ (default), hydra or medusa",
    )
    .option("--tree <name|file.json>", "draft tree (default: mc_sim_7b_63 with heads)")
    .addOption(
      new Option("--graph <name>", "which graph").choices(["step", "prefill"]).default("step"),
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
    .option("--rows <n>", "with --graph prefill: rows at a time", wholeNumber, 512);
}

/** Flags as the functions take them. */
export function inspectOptions({
  context,
  out: _,
  html: __,
  diff: ___,
  ...flags
}: InspectFlags): InspectOptions {
  return { ...flags, contextLength: context };
}

async function save(directory: string, options: InspectProgramOptions): Promise<void> {
  const { title, kernels, notCompiled, noSass } = await saveInspection(directory, options);
  const chosen = options.kernel === undefined ? kernels.length : undefined;
  const what = chosen === undefined ? `kernels named ${options.kernel}` : `${chosen} kernels`;
  process.stdout.write(`${title}: ${what} in ${directory}\n`);
  sayWhatIsMissing({ notCompiled, noSass });
}

async function savePage(path: string, options: InspectProgramOptions): Promise<void> {
  const file = await OutputFile.open(path);
  try {
    const inspection = await inspectProgram(options);
    await file.write(await explorerPage({ program: inspection }));
    process.stdout.write(`${inspection.title}: open ${path} in a browser\n`);
    sayWhatIsMissing(inspection);
  } finally {
    await file.discard();
  }
}

function sayWhatIsMissing({ notCompiled, noSass }: Pick<Inspection, "notCompiled" | "noSass">) {
  if (notCompiled !== undefined) process.stderr.write(`hydra: not compiled: ${notCompiled}\n`);
  else if (noSass !== undefined) process.stderr.write(`hydra: no machine code: ${noSass}\n`);
}

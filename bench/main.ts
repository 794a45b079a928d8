import { Command } from "commander";
import { HydrantError } from "../src/index.ts";
import { register as registerCpuKernels } from "./commands/cpu-kernels.ts";
import { register as registerDecode } from "./commands/decode.ts";
import { register as registerModel } from "./commands/model.ts";
import { register as registerPrompts } from "./commands/prompts.ts";
import { register as registerReport } from "./commands/report.ts";
import { register as registerSuite } from "./commands/suite.ts";
import { register as registerTargets } from "./commands/targets.ts";

/*
 * The front end of all benchmarks: a file per command in commands/. Without a command the suite runs.
 * Exit codes: 0 done, 1 a result that is wrong or a failure with a message, 2 wrong usage.
 */

const program = new Command("bench")
  .description("Measure kernels, steps and decoding, and check every result in the same run.")
  .showHelpAfterError("(--help lists the options)")
  .configureHelp({ showGlobalOptions: true });

for (const register of [
  registerSuite,
  registerDecode,
  registerModel,
  registerPrompts,
  registerReport,
  registerTargets,
  registerCpuKernels,
])
  register(program);

// The reader of a pipe has seen enough (`| head`).
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  // `--model` stands for the command, where nothing else can be meant.
  const [first, second = "--"] = process.argv.slice(2);
  const isModel = first === "--model" && second.startsWith("--");
  await program.parseAsync(isModel ? process.argv.with(2, "model") : process.argv);
} catch (error) {
  if (!(error instanceof HydrantError)) throw error;
  console.error(`bench: ${error.oneLine}`);
  process.exitCode = 1;
}

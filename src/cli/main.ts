import { Command, CommanderError } from "commander";
import { HydrantError } from "../util/errors.ts";
import { registerGenerate } from "./commands/generate.ts";
import { registerTokenize } from "./commands/tokenize.ts";

/** Exit codes of every command: 0 done, 1 failure with a message, 2 wrong usage. */
const exitFailure = 1;
const exitUsage = 2;

const program = new Command("hydra")
  .description("Speculative decoding with Hydra and Medusa draft heads, exact to the bit.")
  .option("--debug", "show stack traces")
  .configureOutput({ writeErr: (text) => process.stderr.write(text) })
  .exitOverride();
registerGenerate(program);
registerTokenize(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitUsage;
  if (program.opts<{ debug?: boolean }>().debug) console.error(error);
  else if (error instanceof HydrantError) console.error(`hydra: ${error.oneLine}`);
  else
    console.error(
      `hydra: ${error instanceof Error ? error.message : String(error)} (a bug; --debug shows where)`,
    );
  return exitFailure;
}

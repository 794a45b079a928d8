#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { HydrantError } from "../util/errors.ts";
import { registerChat } from "./commands/chat.ts";
import { registerConvert } from "./commands/convert.ts";
import { registerDemo } from "./commands/demo.ts";
import { registerDoctor } from "./commands/doctor.ts";
import { registerGenerate } from "./commands/generate.ts";
import { registerInspect } from "./commands/inspect.ts";
import { registerKernel } from "./commands/kernel.ts";
import { registerTokenize } from "./commands/tokenize.ts";
import { registerTune } from "./commands/tune.ts";
import { packageRoot } from "./package-root.ts";

/** Exit codes of every command: 0 done, 1 failure with a message, 2 wrong usage. */
const exitFailure = 1;
const exitUsage = 2;

const program = new Command("hydra")
  .description("Speculative decoding with Hydra and Medusa draft heads, exact to the bit.")
  .version(packageVersion(), "--version", "print the version")
  .option("--debug", "show stack traces")
  .showHelpAfterError("(--help lists the options)");

for (const register of [
  registerGenerate,
  registerChat,
  registerTokenize,
  registerConvert,
  registerDemo,
  registerDoctor,
  registerInspect,
  registerKernel,
  registerTune,
]) {
  register(program);
}
configure(program);

// The reader of a pipe has seen enough (`| head`): no error, and nobody left to write for.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitUsage;
  if (process.argv.includes("--debug")) console.error(error);
  else if (error instanceof HydrantError) console.error(`hydra: ${error.oneLine}`);
  else
    console.error(
      `hydra: ${error instanceof Error ? error.message : String(error)} (unexpected; --debug shows where)`,
    );
  return exitFailure;
}

function configure(command: Command): void {
  command.exitOverride().configureOutput({ writeErr: (text) => process.stderr.write(text) });
  // Accepted after the command's name too.
  if (command !== program) command.option("--debug", "show stack traces");
  for (const child of command.commands) configure(child);
}

function packageVersion(): string {
  return JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")).version;
}

import type { Command } from "commander";

/** `bench`: the suite. */
export function register(program: Command): void {
  program
    .command("suite", { isDefault: true })
    .description("kernels, steps and decoding (what runs without a command)")
    .action(() => {});
}

import { readFileSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { HydrantError } from "../../src/index.ts";
import { BadField } from "../report/read-json.ts";
import { readCheckResults } from "../report/result-readers.ts";
import { targetsMarkdown, withTargets } from "../targets/targets-table.ts";

export function register(program: Command): void {
  program
    .command("targets")
    .description("The table of targets from a results file of the GPU check.")
    .argument("<file>", "bench/results/gpu-….json")
    .option("--write <page>", "put it between the markers of a page, such as README.md")
    .action((file: string, { write }: { write?: string }) => {
      const markdown = targetsMarkdown(readResults(file));
      if (write === undefined) {
        console.log(markdown);
        return;
      }
      writeFileSync(write, withTargets(readText(write), markdown, write));
      console.log(`${write}: the table of targets from ${file}`);
    });
}

function readResults(path: string) {
  try {
    return readCheckResults(JSON.parse(readText(path)), "");
  } catch (error) {
    if (!(error instanceof BadField || error instanceof SyntaxError)) throw error;
    throw new HydrantError("bench/targets", `It is no results file: ${error.message}`, {
      path,
      hint: "npm run gpu:check writes one into bench/results.",
    });
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new HydrantError("bench/targets", "The file cannot be read.", { path, cause: error });
  }
}

import { SingleBar } from "cli-progress";
import chalk from "chalk";
import type { SuiteProgress } from "./run-suite.ts";
import type { BenchEntry } from "./results.ts";

/** Progress on stderr: a bar at a terminal, else a line for every entry. */
export function showProgress(total: number): SuiteProgress & { readonly end: () => void } {
  const begin = performance.now();
  if (!process.stderr.isTTY) {
    let count = 0;
    return {
      begin: () => {},
      done: (entry) => {
        count++;
        const seconds = ((performance.now() - begin) / 1000).toFixed(0);
        console.error(`${count}/${total} ${seconds} s  ${entry.id}  ${outcome(entry)}`);
      },
      end: () => {},
    };
  }
  const bar = new SingleBar({
    format: "{bar} {value}/{total}  {duration_formatted}  {what}",
    barsize: 24,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: true,
    stream: process.stderr,
  });
  bar.start(total, 0, { what: "" });
  return {
    begin: ({ id }) => bar.update({ what: id }),
    done: (entry) => {
      bar.increment();
      if (entry.check.status !== "failed") return;
      // Loud at once, and again at the end.
      process.stderr.write(`\r\u001b[K${chalk.red(`FAILED ${entry.id}`)}\n`);
    },
    end: () => bar.stop(),
  };
}

function outcome({ check, figures }: BenchEntry): string {
  const [[, first] = []] = Object.entries(figures);
  const value = first === undefined ? "" : `${first.median} ${first.unit}`;
  return check.status === "failed" ? `FAILED: ${check.message ?? check.against}` : value;
}

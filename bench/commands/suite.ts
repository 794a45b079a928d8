import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { Command } from "commander";
import { HydrantError } from "../../src/index.ts";
import { readResultFile } from "../report/result-file.ts";
import { compareResults } from "../suite/compare.ts";
import { formatComparison, regressions } from "../suite/compare-table.ts";
import { allDevices } from "../suite/devices.ts";
import { showProgress } from "../suite/progress.ts";
import { type BenchResults, type BenchSuite, benchSuites } from "../suite/results.ts";
import { type DeviceChoice, planSuite, plannedKeys, runSuite } from "../suite/run-suite.ts";
import { filterKeys, suitesNamed } from "../suite/selection.ts";
import { formatResults } from "../suite/tables.ts";
import { count, counts, names } from "./numbers.ts";

interface Flags {
  readonly suite: readonly string[];
  readonly filter?: string;
  readonly rows?: readonly number[];
  readonly shapes?: readonly string[];
  readonly contexts?: readonly number[];
  readonly device: readonly string[];
  readonly threads?: number;
  readonly refcheck: boolean;
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly json?: string;
  readonly compare?: string;
  readonly failOnRegression?: boolean;
  readonly list?: boolean;
}

/** `bench`: the suite. */
export function register(program: Command): void {
  program
    .command("suite", { isDefault: true })
    .description("kernels, steps and decoding (what runs without a command)")
    .option("--suite <list>", "kernels, steps, decode", names, [...benchSuites])
    .option("--filter <list>", "entries whose id has one of these words (gemm is linear)")
    .option("--rows <list>", "rows of kernels and of the trees of steps, as in 1,8,64", counts)
    .option("--shapes <list>", "model shapes, as in vicuna-7b,demo", names)
    .option("--contexts <list>", "tokens before attention and before steps", counts)
    .option("--device <list>", "cpu, emulator, cuda, cuda:N, or all there are", names, ["all"])
    .option("--threads <n>", "CPU threads (default: 1 for kernels, automatic for models)", count)
    .option("--refcheck", "compare results with the reference (default)", true)
    .option("--no-refcheck", "do not compare results with the reference")
    .option("--quick", "a few minutes: small shapes, fewer rows and rounds")
    .option("--rounds <n>", "samples of every time (default: 9, with --quick 5)", count)
    .option("--json <file>", "write the results")
    .option("--compare <file>", "say what changed since these results")
    .option("--fail-on-regression", "with --compare: exit code 1 when something got worse")
    .option("--list", "list the entries and measure nothing")
    .action(async (flags: Flags) => {
      process.exitCode = await run(flags);
    });
}

/** @returns the exit code: 1 when a check failed, or something got worse and that was asked about. */
async function run(flags: Flags): Promise<number> {
  // Before the minutes of measuring, so that a wrong name costs none of them.
  const old = flags.compare === undefined ? undefined : readOld(flags.compare);
  const { rows, shapes, contexts, filter, threads } = flags;
  const isQuick = flags.quick === true;
  const plans = planSuite({
    suites: suitesNamed(flags.suite),
    devices: await chooseDevices(flags.device),
    filter,
    rows,
    shapes,
    contexts,
    isQuick,
    checks: flags.refcheck,
    rounds: flags.rounds ?? (isQuick ? 5 : 9),
    threads,
  });
  const keys = plannedKeys(plans);
  if (keys.length === 0) {
    throw new HydrantError("bench/nothing", "No entry is of these suites, devices and filters.", {
      hint: "`npm run bench -- --list` lists all of them.",
    });
  }
  if (flags.list === true) {
    for (const { id } of keys) console.log(id);
    return 0;
  }
  // Not after minutes of measuring: a folder that cannot be made.
  if (flags.json !== undefined) mkdirSync(dirname(flags.json), { recursive: true });
  const progress = showProgress(keys.length);
  const words = process.argv
    .slice(2)
    .map((word) => (/^[\w./:,+-]+$/.test(word) ? word : `'${word}'`));
  const command = ["npm run bench --", ...words].join(" ");
  const results = await runSuite(plans, { threads, command }, progress);
  progress.end();
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(results, null, 1)}\n`);
  console.log(formatResults(results));
  const isRight = results.entries.every(({ check }) => check.status !== "failed");
  const isKept =
    old === undefined || reportChanges(askedOf(old, flags), flags.compare ?? "", results);
  return isRight && (isKept || flags.failOnRegression !== true) ? 0 : 1;
}

/** Of the old results what these flags ask for, so that the rest does not count as missing. */
function askedOf(old: BenchResults, { suite, filter, rows, shapes, device }: Flags): BenchResults {
  const entries = old.entries.filter(
    (entry) =>
      suite.includes(entry.suite) &&
      (device.includes("all") || device.some((name) => entry.device.startsWith(name))) &&
      (rows?.includes(entry.rows) ?? true) &&
      (shapes?.includes(entry.shape) ?? true) &&
      filterKeys([entry], filter).length > 0,
  );
  return { ...old, entries };
}

/** @returns whether nothing got worse. */
function reportChanges(old: BenchResults, file: string, results: BenchResults): boolean {
  const comparison = compareResults(old, results);
  console.log(`\n${formatComparison(comparison, basename(file))}`);
  return regressions(comparison).length === 0 && comparison.newlyFailed.length === 0;
}

/**
 * With `all`, the emulator runs kernels only: whole models take it long and say no more. Who names it
 * gets everything.
 */
async function chooseDevices(asked: readonly string[]): Promise<readonly DeviceChoice[]> {
  if (!asked.includes("all")) return asked.map((name) => ({ name, suites: benchSuites }));
  const kernels: readonly BenchSuite[] = ["kernels"];
  const found = await allDevices((what) => console.error(what));
  return found.map((name) => ({ name, suites: name === "emulator" ? kernels : benchSuites }));
}

function readOld(file: string): BenchResults {
  const old = readResultFile(file);
  if (old.kind === "suite") return old.results;
  throw new HydrantError("bench/compare", "These are results of another benchmark.", {
    path: file,
    hint: "Give a file that `npm run bench -- --json FILE` wrote.",
  });
}

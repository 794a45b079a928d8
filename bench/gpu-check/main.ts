import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type Environment, readEnvironment } from "../decode/environment.ts";
import { partCommand, root, runCommand } from "./child.ts";
import type { PartResult } from "./part.ts";
import { type Part, parts } from "./parts.ts";
import {
  formatPart,
  nothing,
  type PartReport,
  type PartStatus,
  readResults,
  type Results,
  writeResults,
} from "./results.ts";

/*
 * Checks and measures the product on a GPU: part by part, each in a process of its own with a time
 * limit, results written after each. Needs no test runner: the bundle made by `npm run bundle` runs
 * it on a machine with nothing but a driver and NVRTC.
 */

interface Flags {
  readonly device: string;
  readonly only?: readonly string[];
  readonly resume?: boolean;
  readonly out?: string;
  readonly total: number;
  readonly list?: boolean;
}

/** Under this many seconds a part is not begun. */
const leastSeconds = 4;

const program = new Command("gpu-check")
  .description("Check and measure the product on a GPU (or its kernels on the emulator).")
  .option(
    "--device <name>",
    "cuda, cuda:N, emulator; cpu and interpreter for what they can",
    "cuda",
  )
  .option("--only <parts...>", "these parts and no others")
  .option("--resume", "keep what the results file has of finished parts")
  .option("--out <file>", "results (default: bench/results/gpu-DEVICE-DATE.json)")
  .option("--total <seconds>", "time for everything", seconds, 570)
  .option("--list", "list the parts");
const flags = program.parse().opts<Flags>();
if (flags.list) {
  for (const { name, about, limit } of parts)
    console.log(`${name.padEnd(13)} ${about} (${limit} s)`);
} else {
  process.exitCode = await run(flags);
}

/** @returns the exit code: 1 unless every part passed. */
async function run({ device, only, resume, out, total }: Flags): Promise<number> {
  const begin = performance.now();
  const unknown = only?.find((name) => parts.every((part) => part.name !== name));
  if (unknown !== undefined) program.error(`error: there is no part "${unknown}" (--list)`);
  const environment = withBundle(readEnvironment(root));
  const name = `gpu-${device.replace(":", "-")}-${environment.date.slice(0, 10)}.json`;
  const file = resolve(out ?? join(root, "bench", "results", name));
  const before = resume ? readResults(file) : undefined;
  let results: Results = { device, environment, parts: before?.parts ?? {} };
  const chosen = parts.filter((part) =>
    only === undefined ? device.startsWith("cuda") || !part.needsGpu : only.includes(part.name),
  );
  let without: Readonly<Record<string, string>> = {};
  for (const part of chosen) {
    const known = results.parts[part.name];
    if (known !== undefined && (known.status === "passed" || known.status === "failed")) {
      if (known.status === "failed") without = { ...without, ...part.doWithout };
      continue;
    }
    const left = total - (performance.now() - begin) / 1000;
    // Without a GPU the parts are smaller and slower still.
    const limit = device.startsWith("cuda") ? part.limit : 2 * part.limit;
    const report = await runPart(part, device, Math.min(limit, left), without, (kept) =>
      file.replace(/(\.json)?$/, `-${kept}`),
    );
    if (report.status !== "passed") without = { ...without, ...part.doWithout };
    results = { ...results, parts: { ...results.parts, [part.name]: report } };
    writeResults(file, results);
    console.log(formatPart(part.name, report));
  }
  console.log(`Results: ${file}`);
  return chosen.every(({ name }) => results.parts[name]?.status === "passed") ? 0 : 1;
}

/**
 * @param without what the part's environment says besides; the report notes it.
 * @param placeOf where a file goes that the part leaves beside the results.
 */
async function runPart(
  { name }: Part,
  device: string,
  limit: number,
  without: Readonly<Record<string, string>>,
  placeOf: (kept: string) => string,
): Promise<PartReport> {
  if (limit < leastSeconds) return { ...nothing, status: "no time", seconds: 0 };
  const folder = mkdtempSync(join(tmpdir(), "gpu-check-"));
  const file = join(folder, "result.json");
  const begin = performance.now();
  const { code, timedOut, output } = await runCommand(
    partCommand(name, device, file),
    limit,
    without,
  );
  const seconds = (performance.now() - begin) / 1000;
  const result = readPart(file);
  for (const kept of readdirSync(folder).filter((other) => other !== "result.json"))
    copyFileSync(join(folder, kept), placeOf(kept));
  rmSync(folder, { recursive: true });
  const finished = code === 0 || (code === 1 && result.failed.length > 0);
  const status: PartStatus = timedOut
    ? "timed out"
    : !finished
      ? "crashed"
      : result.failed.length > 0
        ? "failed"
        : "passed";
  return {
    ...result,
    notes: { ...without, ...result.notes },
    status,
    seconds: Number(seconds.toFixed(2)),
    ...(status === "passed" || output === "" ? {} : { output }),
  };
}

function readPart(file: string): PartResult {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as PartResult;
  } catch {
    return nothing; // It died before its first word, or while it wrote.
  }
}

/** A bundle has no repository; it says of which commit it is. */
function withBundle(environment: Environment): Environment {
  const file = join(root, "bundle.json");
  if (!existsSync(file)) return environment;
  const { commit } = JSON.parse(readFileSync(file, "utf8")) as { commit: string };
  return { ...environment, commit };
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("It must be a number of seconds.");
  return value;
}

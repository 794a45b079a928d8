import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import {
  compareKernel,
  HydrantError,
  type KernelRunArg,
  type KernelRunResult,
  parseKernelArg,
  runKernel,
} from "../../index.ts";
import { findingText } from "../finding-text.ts";
import { isFolder } from "../is-folder.ts";
import { comparisonText } from "../kernel-comparison.ts";

interface CommonFlags {
  readonly device: "emulator" | "cuda";
  readonly seed: number;
  readonly json?: boolean;
}

interface KernelRunFlags extends CommonFlags {
  readonly entry: string;
  readonly grid: Size3;
  readonly block: Size3;
  readonly shared?: number;
  readonly arch?: string;
  readonly define: Readonly<Record<string, string>>;
  readonly arg: readonly KernelRunArg[];
  readonly dump?: string;
}

/** What goes with a folder of `hydra inspect --out` only. */
interface CompareFlags extends CommonFlags {
  readonly grid?: Size3;
  readonly block?: Size3;
  readonly shared?: number;
  readonly launch?: number;
  readonly context?: number;
  readonly temperature?: number;
  readonly rounds?: number;
  readonly tolerance?: number;
  readonly blocks?: number;
}

interface Size3 {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** Exit code of a run whose kernel was found at fault, or does not do what its reference does. */
const exitFindings = 3;

/** Flags a file needs, flags that only a file takes, and flags that only a folder takes. */
const needed = ["entry", "grid", "block"] as const;
const ofFiles = ["entry", "arch", "define", "arg", "dump"] as const;
const ofFolders = ["launch", "context", "temperature", "rounds", "tolerance", "blocks"] as const;

export function registerKernel(program: Command): void {
  const kernel = program.command("kernel").description("work with single CUDA kernels");
  kernel.exitOverride(); // Inherited below: usage errors are the caller's to report.
  kernel
    .command("run")
    .description(
      "run one kernel of a CUDA file, or an edited kernel against the generated one, on the sanitising emulator or a GPU",
    )
    .argument(
      "<file.cu|folder>",
      "CUDA C++ (or a .ptx file), or a kernel's folder of inspect --out",
    )
    .addOption(
      new Option("--device <device>", "where to run")
        .choices(["emulator", "cuda"])
        .default("emulator"),
    )
    .option("--seed <n>", "of random buffers and the order of blocks and warps", wholeNumber, 0)
    .option("--grid <x,y,z>", "blocks (of a folder's kernel.cu: as in spec.json)", size3)
    .option("--block <x,y,z>", "threads per block (likewise)", size3)
    .option("--shared <bytes>", "dynamic shared memory (default: 0, or likewise)", wholeNumber)
    .option("--json", "print one JSON object and nothing else")
    .optionsGroup("A file:")
    .option("--entry <name>", 'the kernel: a C++ name (scale<float>) or an extern "C" one')
    .option("--arch <sm_XX>", "architecture to compile for (default: sm_80, or the GPU's)", arch)
    .option("--define <k=v>", "preprocessor macro; may be repeated", addDefine, {})
    .option(
      "--arg <arg>",
      "DTYPE:COUNT:INIT (buffer; INIT: zeros ones iota random uninit @FILE) or DTYPE=VALUE; repeat in order",
      addArg,
      [],
    )
    .option("--dump <dir>", "write each buffer after the run as DIR/argN.bin")
    .optionsGroup("A folder:")
    .option("--launch <n>", "which kind of launch of the kernel, from 1 (default: 1)", fromOne)
    .option("--context <tokens>", "tokens in the caches (default: 1000)", wholeNumber)
    .option("--temperature <t>", "of kernels that draw tokens (default: 0.8)", fromZero)
    .option("--tolerance <t>", "relative difference of results that passes (default: 0)", fromZero)
    .option("--rounds <n>", "of measuring on a GPU (default: 20)", fromOne)
    .option("--blocks <n>", "on the emulator: about so many blocks, for counters", fromOne)
    .action(async (target: string, flags: KernelRunFlags & CompareFlags, command: Command) => {
      const given = (names: readonly string[]): string | undefined =>
        names.find((name) => command.getOptionValueSource(name) === "cli");
      const hasFolder = await isFolder(target);
      const stray = given(hasFolder ? ofFiles : ofFolders);
      if (stray !== undefined) {
        const [is, other] = hasFolder ? ["folder", "file"] : ["file", "folder"];
        command.error(`error: --${stray} goes with a ${other}, and ${target} is a ${is}`);
      }
      if (hasFolder) return compare(target, flags);
      const missing = needed.find((name) => flags[name] === undefined);
      if (missing !== undefined) command.error(`error: a file needs --${missing}`);
      return run(target, flags);
    });
}

async function compare(folder: string, flags: CompareFlags): Promise<void> {
  const { grid, block, shared, ...rest } = flags;
  const shape = {
    ...(grid === undefined ? {} : { grid: [grid.x, grid.y, grid.z] as const }),
    ...(block === undefined ? {} : { threads: block.x * block.y * block.z }),
    ...(shared === undefined ? {} : { dynamicSharedBytes: shared }),
  };
  const line = statusLine();
  const comparison = await explained(
    compareKernel({ ...rest, shape, folder, onStage: line.show }).finally(line.clear),
  );
  process.stdout.write(flags.json ? `${JSON.stringify(comparison)}\n` : comparisonText(comparison));
  const { verdict } = comparison;
  if (verdict === "findings" || verdict === "different") process.exitCode = exitFindings;
}

/** One line on a terminal that says what takes so long; nothing elsewhere. */
function statusLine(): { show(text: string): void; clear(): void } {
  const { stderr } = process;
  const write = (text: string): void => {
    if (stderr.isTTY) stderr.write(`\r\x1b[K${text}`);
  };
  return { show: (text) => write(`${text} ...`), clear: () => write("") };
}

/** Prints the whole story of a failed compilation; the caller prints its first line. */
async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof HydrantError && "details" in error) console.error(error.details);
    throw error;
  }
}

async function run(file: string, flags: KernelRunFlags): Promise<void> {
  const result = await explained(
    runKernel({
      source: await readSource(file),
      fileName: file,
      entry: flags.entry,
      grid: flags.grid,
      block: flags.block,
      sharedBytes: flags.shared ?? 0,
      defines: flags.define,
      args: flags.arg,
      device: flags.device,
      seed: flags.seed,
      ...(flags.arch === undefined ? {} : { arch: flags.arch }),
    }),
  );
  if (flags.dump !== undefined) await dump(flags.dump, result.buffers);
  const { findings, counters, resources, ms } = result;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ findings, counters, resources, ms })}\n`);
  } else {
    process.stdout.write(describe(flags, result));
  }
  if (findings.length > 0) process.exitCode = exitFindings;
}

async function readSource(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new HydrantError("cli/kernel-file", "The CUDA file cannot be read.", {
      path: file,
      hint: "Check the path.",
      cause: error,
    });
  }
}

async function dump(folder: string, buffers: KernelRunResult["buffers"]): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    for (const [position, bytes] of buffers.entries()) {
      if (bytes !== undefined) await writeFile(join(folder, `arg${position}.bin`), bytes);
    }
  } catch (error) {
    throw new HydrantError("cli/kernel-dump", "The buffers cannot be written.", {
      path: folder,
      hint: "Give --dump a folder that can be written.",
      cause: error,
    });
  }
}

/** Findings first, as a compiler prints them; then the figures. */
function describe(flags: KernelRunFlags, result: KernelRunResult): string {
  const lines = result.findings.map(findingText);
  const count = result.findings.length;
  lines.push(
    `${flags.entry}: ${count === 0 ? "no findings" : `${count} finding${count === 1 ? "" : "s"}`}, ${result.ms.toFixed(2)} ms on ${flags.device}`,
  );
  const figures = { ...result.resources, ...result.counters };
  const width = Math.max(...Object.keys(figures).map((name) => name.length));
  for (const [name, value] of Object.entries(figures)) {
    const text = typeof value === "number" ? value.toLocaleString("en-US") : JSON.stringify(value);
    lines.push(`  ${name.padEnd(width)}  ${text}`);
  }
  return `${lines.join("\n")}\n`;
}

function size3(text: string): Size3 {
  const parts = /^\d+(,\d+){0,2}$/.test(text) ? text.split(",").map(Number) : [];
  const [x = 0, y = 1, z = 1] = parts;
  if (x < 1 || y < 1 || z < 1) {
    throw new InvalidArgumentError("Give X, X,Y or X,Y,Z: whole numbers from 1 on.");
  }
  return { x, y, z };
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError("Give a whole number.");
  }
  return value;
}

function fromOne(text: string): number {
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError("Give a whole number from 1 on.");
  return value;
}

function fromZero(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0) || !Number.isFinite(value)) {
    throw new InvalidArgumentError("Give a number from 0 on.");
  }
  return value;
}

function arch(text: string): string {
  if (/^sm_\d+[af]?$/.test(text)) return text;
  throw new InvalidArgumentError("Give a real architecture such as sm_80 or sm_90a.");
}

function addDefine(
  text: string,
  defines: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const match = /^([A-Za-z_]\w*)(?:=(.*))?$/s.exec(text);
  if (match === null) throw new InvalidArgumentError("Give NAME or NAME=VALUE.");
  // A macro without a value is 1, as every C compiler has it.
  return { ...defines, [match[1] ?? ""]: match[2] ?? "1" };
}

function addArg(text: string, args: readonly KernelRunArg[]): readonly KernelRunArg[] {
  try {
    return [...args, parseKernelArg(text)];
  } catch (error) {
    if (error instanceof HydrantError)
      throw new InvalidArgumentError(`${error.message} ${error.hint}`);
    throw error;
  }
}

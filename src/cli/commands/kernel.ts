import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import {
  HydrantError,
  type KernelRunArg,
  type KernelRunResult,
  parseKernelArg,
  runKernel,
} from "../../index.ts";

interface KernelRunFlags {
  readonly entry: string;
  readonly grid: Size3;
  readonly block: Size3;
  readonly shared: number;
  readonly arch?: string;
  readonly define: Readonly<Record<string, string>>;
  readonly arg: readonly KernelRunArg[];
  readonly device: "emulator" | "cuda";
  readonly seed: number;
  readonly dump?: string;
  readonly json?: boolean;
}

interface Size3 {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** Exit code of a run whose kernel was found at fault. */
const exitFindings = 3;

export function registerKernel(program: Command): void {
  const kernel = program.command("kernel").description("work with single CUDA kernels");
  kernel.exitOverride(); // Inherited below: usage errors are the caller's to report.
  kernel
    .command("run")
    .description("run one kernel of a CUDA file, on the sanitising emulator or a GPU")
    .argument("<file.cu>", "CUDA C++ (or a .ptx file)")
    .requiredOption("--entry <name>", 'the kernel: a C++ name (scale<float>) or an extern "C" one')
    .requiredOption("--grid <x,y,z>", "blocks", size3)
    .requiredOption("--block <x,y,z>", "threads per block", size3)
    .option("--shared <bytes>", "dynamic shared memory", wholeNumber, 0)
    .option("--arch <sm_XX>", "architecture to compile for (default: sm_80, or the GPU's)", arch)
    .option("--define <k=v>", "preprocessor macro; may be repeated", addDefine, {})
    .option(
      "--arg <arg>",
      "DTYPE:COUNT:INIT (buffer; INIT: zeros ones iota random uninit @FILE) or DTYPE=VALUE; repeat in order",
      addArg,
      [],
    )
    .addOption(
      new Option("--device <device>", "where to run")
        .choices(["emulator", "cuda"])
        .default("emulator"),
    )
    .option("--seed <n>", "of random buffers and the order of blocks and warps", wholeNumber, 0)
    .option("--dump <dir>", "write each buffer after the run as DIR/argN.bin")
    .option("--json", "print one JSON object and nothing else")
    .action(run);
}

async function run(file: string, flags: KernelRunFlags): Promise<void> {
  const result = await runKernel({
    source: await readSource(file),
    fileName: file,
    entry: flags.entry,
    grid: flags.grid,
    block: flags.block,
    sharedBytes: flags.shared,
    defines: flags.define,
    args: flags.arg,
    device: flags.device,
    seed: flags.seed,
    ...(flags.arch === undefined ? {} : { arch: flags.arch }),
  }).catch((error: unknown) => {
    // The whole story of a failed compilation; the caller prints its first line.
    if (error instanceof HydrantError && "details" in error) console.error(error.details);
    throw error;
  });
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
  const lines: string[] = [];
  for (const { kind, kernel, file, line, ptxLine, block, thread, message } of result.findings) {
    const place = file === null ? "" : `${file}${line === null ? "" : `:${line}`}: `;
    const who = [
      kernel === null ? undefined : `kernel ${kernel}`,
      block === null ? undefined : `block ${block.join(",")}`,
      thread === null ? undefined : `thread ${thread.join(",")}`,
      ptxLine === null ? undefined : `PTX line ${ptxLine}`,
    ].filter((part) => part !== undefined);
    lines.push(`${place}${kind}: ${message}`, `    ${who.join(", ")}`);
  }
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

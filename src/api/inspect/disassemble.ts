import { execFile } from "node:child_process";
import {
  accessSync,
  constants,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "../../util/cache-directory.ts";
import { HydrantError } from "../../util/errors.ts";
import type { LinkedText } from "./ptx-lines.ts";

/** NVIDIA's nvdisasm, which prints the machine code in a cubin. */
export interface Disassembler {
  readonly path: string;
  /** Of the CUDA toolkit it is from. It reads code of compilers up to its own major version. */
  readonly version: { readonly major: number; readonly minor: number };
}

const run = promisify(execFile);
/** Machine code with its line table: a megabyte for a large kernel. */
const mostOutput = 256 * 2 ** 20;

/**
 * The newest nvdisasm of this machine: `HYDRANT_NVDISASM`, which is then the only one, PATH, CUDA
 * toolkits, Python wheels, our cache folder.
 * @throws HydrantError `inspect/disassembler` when there is none.
 */
export async function findDisassembler(
  env: NodeJS.ProcessEnv = process.env,
): Promise<Disassembler> {
  const forced = env.HYDRANT_NVDISASM;
  const paths =
    forced !== undefined && forced !== "" ? [forced] : [...new Set(searchPath(env))].filter(canRun);
  const found: Disassembler[] = [];
  for (const path of paths) {
    const version = await versionOf(path);
    if (version !== undefined) found.push({ path, version });
  }
  found.sort((a, b) => b.version.major - a.version.major || b.version.minor - a.version.minor);
  const [best] = found;
  if (best !== undefined) return best;
  throw new HydrantError(
    "inspect/disassembler",
    forced === undefined || forced === ""
      ? "Machine code needs nvdisasm, which was not found."
      : "HYDRANT_NVDISASM leads to no nvdisasm that runs.",
    { ...(forced === undefined ? {} : { path: forced }), hint: disassemblerHint() },
  );
}

/** How to get one. */
export function disassemblerHint(): string {
  const folder = join(cacheDirectory(), "cuda", "nvdisasm");
  return `Run \`python3 -m pip install --no-deps --target ${folder} nvidia-cuda-nvdisasm\`, install a CUDA toolkit, or point HYDRANT_NVDISASM at an nvdisasm.`;
}

function searchPath(env: NodeJS.ProcessEnv): string[] {
  const path = (env.PATH ?? "").split(":").filter((folder) => folder !== "");
  const named = [env.CUDA_HOME, env.CUDA_PATH].filter((root) => root !== undefined);
  const toolkits = [...named, ...childrenOf("/usr/local", /^cuda/), "/opt/cuda"];
  const pythons = [
    env.VIRTUAL_ENV,
    env.CONDA_PREFIX,
    join(homedir(), ".local"),
    "/usr/local",
    "/usr",
  ]
    .filter((prefix) => prefix !== undefined)
    .flatMap((prefix) => childrenOf(join(prefix, "lib"), /^python3/))
    .flatMap((python) => [join(python, "site-packages"), join(python, "dist-packages")]);
  const cached = childrenOf(join(cacheDirectory(env), "cuda"), /^nvdisasm/);
  return [
    ...path,
    ...toolkits.map((root) => join(root, "bin")),
    ...[...pythons, ...cached].flatMap(wheelFolders),
    ...cached.flatMap((folder) => [folder, join(folder, "usr", "bin")]),
  ].map((folder) => join(folder, "nvdisasm"));
}

/** NVIDIA's own wheels, and Triton's, which comes with PyTorch. */
const wheelFolders = (site: string): string[] => [
  ...childrenOf(join(site, "nvidia"), /./).map((part) => join(part, "bin")),
  join(site, "triton", "backends", "nvidia", "bin"),
];

async function versionOf(path: string): Promise<Disassembler["version"] | undefined> {
  try {
    const { stdout } = await run(path, ["--version"], { timeout: 20_000 });
    const release = /release (\d+)\.(\d+)/.exec(stdout);
    if (release === null) return undefined;
    return { major: Number(release[1]), minor: Number(release[2]) };
  } catch {
    return undefined;
  }
}

/**
 * The machine code of kernels, in order, with as many processes as the machine has cores; nothing
 * without a disassembler.
 * @throws HydrantError `inspect/disassembler` when nvdisasm does not take one.
 */
export async function disassembleAll(
  disassembler: Disassembler | undefined,
  kernels: readonly { readonly entry: string; readonly cubin: Uint8Array }[],
): Promise<readonly (LinkedText | undefined)[]> {
  const code: (LinkedText | undefined)[] = kernels.map(() => undefined);
  if (disassembler === undefined) return code;
  const queue = kernels.entries();
  const worker = async (): Promise<void> => {
    for (const [index, { entry, cubin }] of queue)
      code[index] = await disassemble(disassembler, cubin, entry);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return code;
}

/**
 * The machine code of one kernel, and where in the source it is from.
 * @throws HydrantError `inspect/disassembler` when nvdisasm does not take it.
 */
export async function disassemble(
  { path }: Disassembler,
  cubin: Uint8Array,
  entry: string,
): Promise<LinkedText> {
  const folder = mkdtempSync(join(tmpdir(), "hydrant-sass-"));
  try {
    const file = join(folder, `${entry}.cubin`);
    writeFileSync(file, cubin);
    const { stdout } = await run(path, ["--print-code", "--print-line-info-inline", file], {
      maxBuffer: mostOutput,
      timeout: 120_000,
    });
    return linkSass(stdout, entry);
  } catch (error) {
    const lines = error instanceof Error ? error.message.trim().split("\n") : [String(error)];
    throw new HydrantError("inspect/disassembler", `nvdisasm failed: ${lines.at(-1)}`, {
      path,
      hint: disassemblerHint(),
      cause: error,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Takes the line table out of what nvdisasm prints, and everything but the code of `entry`. Before an
 * instruction whose function was inlined come its line and then those of the callers: the first counts.
 */
export function linkSass(printed: string, entry: string): LinkedText {
  const text: string[] = [];
  const lines: number[] = [];
  let line = 0;
  let inEntry = false;
  let afterCode = true;
  for (const row of printed.split("\n")) {
    const section = /^\/\/-+ \.(\S+)/.exec(row)?.[1];
    if (section !== undefined) inEntry = section === `text.${entry}`;
    if (!inEntry) continue;
    const at = /^\s*\/\/## File .*?, line (\d+)/.exec(row);
    if (at !== null) {
      if (afterCode) line = Number(at[1]);
      afterCode = false;
      continue;
    }
    const isCode = /^\s*\/\*[0-9a-f]{4,}\*\//.test(row);
    if (isCode) afterCode = true;
    // Section attributes say what the resources say.
    else if (!/^\.?[\w$]+:/.test(row)) continue;
    text.push(row.trimEnd().replace(/^ {8}/, "  "));
    lines.push(isCode ? line : 0);
  }
  return { text: `${text.join("\n")}\n`, lines };
}

function childrenOf(folder: string, name: RegExp): string[] {
  try {
    return readdirSync(folder)
      .filter((child) => name.test(child))
      .sort()
      .map((child) => join(folder, child));
  } catch {
    return []; // Absent or unreadable: nothing to find there.
  }
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

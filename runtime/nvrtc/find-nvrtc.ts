/**
 * Finds libnvrtc on this machine (Linux). Search order: `HYDRANT_NVRTC`, which is then the only
 * one; the loader's folders; CUDA toolkits; the nvidia-cuda-nvrtc Python wheels; our cache folder.
 */
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { cacheDirectory } from "../../src/util/cache-directory.ts";
import { HydrantError } from "../../src/util/errors.ts";

export type NvrtcOrigin = "HYDRANT_NVRTC" | "loader" | "toolkit" | "wheel" | "cache";

export interface NvrtcLibrary {
  readonly path: string;
  readonly origin: NvrtcOrigin;
  /** From the file names, for example 11.8; the minor version of a bare soname may be 0. */
  readonly version: { readonly major: number; readonly minor: number };
  /**
   * The builtins library beside it. It has to be loaded first: libnvrtc opens it by soname, and
   * the copies in wheels and toolkits are not on the loader's path.
   */
  readonly builtins: string | undefined;
}

/**
 * Puts NVRTC where `findNvrtc` looks, whatever Python environment is active; the one of CUDA 12
 * suits every driver this project takes.
 */
export function nvrtcInstallCommand(env: NodeJS.ProcessEnv = process.env): string {
  const folder = join(cacheDirectory(env), "cuda", "nvrtc");
  return `python3 -m pip install --no-deps --target ${folder} nvidia-cuda-nvrtc-cu12`;
}

export const nvrtcInstallHint = (): string =>
  `Run \`${nvrtcInstallCommand()}\`, or point HYDRANT_NVRTC at a libnvrtc.so.`;

/**
 * Every libnvrtc found, best first: the newest whose major version is at most `maxMajor` (pass the
 * driver's: a driver loads no code of a newer major version), earlier search order on a tie.
 * Throws `nvrtc/not-found` when `HYDRANT_NVRTC` is set and leads nowhere.
 */
export function findNvrtc(
  options: { readonly maxMajor?: number; readonly env?: NodeJS.ProcessEnv } = {},
): readonly NvrtcLibrary[] {
  const env = options.env ?? process.env;
  const forced = env.HYDRANT_NVRTC;
  if (forced !== undefined && forced !== "") {
    const found = isDirectory(forced)
      ? inFolder(forced, "HYDRANT_NVRTC")
      : existsSync(forced)
        ? [describe(forced, "HYDRANT_NVRTC")]
        : [];
    if (found.length > 0) return found;
    throw new HydrantError("nvrtc/not-found", "HYDRANT_NVRTC leads to no libnvrtc.", {
      path: forced,
      hint: "Point it at a libnvrtc.so file or the folder that holds one, or unset it.",
    });
  }
  const found: NvrtcLibrary[] = [];
  const seen = new Set<string>();
  for (const [origin, folders] of searchPath(env)) {
    for (const folder of folders) {
      for (const library of inFolder(folder, origin)) {
        if (seen.has(library.path)) continue;
        seen.add(library.path);
        found.push(library);
      }
    }
  }
  return found
    .filter(({ version }) => version.major <= (options.maxMajor ?? Number.POSITIVE_INFINITY))
    .sort((a, b) => b.version.major - a.version.major || b.version.minor - a.version.minor);
}

function searchPath(env: NodeJS.ProcessEnv): [NvrtcOrigin, string[]][] {
  const cuda = [env.CUDA_HOME, env.CUDA_PATH].filter((path) => path !== undefined);
  const toolkits = [...cuda, ...childrenOf("/usr/local", /^cuda/), "/opt/cuda"];
  const pythons = [env.VIRTUAL_ENV, env.CONDA_PREFIX, join(homedir(), ".local")]
    .filter((path) => path !== undefined && path !== "")
    .concat(
      pythonPrefixes(env),
      "/usr/local",
      "/usr",
      childrenOf(join(homedir(), ".pyenv", "versions"), /./),
      // Images keep their environments there: /opt/torch/.venv, /opt/venv, /opt/conda.
      childrenOf("/opt", /./).flatMap((folder) => [folder, ...childrenOf(folder, /^\.?venv$/)]),
    );
  const sitePackages = pythons
    .flatMap((prefix) => [...childrenOf(join(prefix ?? "", "lib"), /^python3/)])
    .flatMap((python) => [join(python, "site-packages"), join(python, "dist-packages")]);
  const cached = childrenOf(join(cacheDirectory(env), "cuda"), /^nvrtc/);
  return [
    ["loader", loaderFolders(env)],
    ["toolkit", toolkits.flatMap((root) => [join(root, "lib64"), ...targetFolders(root)])],
    ["wheel", sitePackages.flatMap(wheelFolders)],
    ["cache", cached.flatMap(wheelFolders)],
  ];
}

/** Environments whose interpreter is on PATH without their being activated. */
const pythonPrefixes = (env: NodeJS.ProcessEnv): string[] =>
  (env.PATH ?? "")
    .split(":")
    .filter((folder) => folder !== "" && existsSync(join(folder, "python3")))
    .flatMap((folder) => linksOf(join(folder, "python3")).map((file) => dirname(dirname(file))));

/** A file and what it links to, link by link: an environment's interpreter is itself such a link. */
function linksOf(file: string): string[] {
  const files = [file];
  for (let at = file; files.length < 8; ) {
    try {
      at = resolve(dirname(at), readlinkSync(at));
    } catch {
      break; // No link.
    }
    files.push(at);
  }
  return files;
}

const targetFolders = (toolkit: string): string[] =>
  childrenOf(join(toolkit, "targets"), /-linux$/).map((target) => join(target, "lib"));

/** The wheels for CUDA 13 share one folder per major version; older ones have one per library. */
const wheelFolders = (site: string): string[] => [
  ...childrenOf(join(site, "nvidia"), /^cu\d+$/).map((cuda) => join(cuda, "lib")),
  join(site, "nvidia", "cuda_nvrtc", "lib"),
];

function loaderFolders(env: NodeJS.ProcessEnv): string[] {
  const folders = (env.LD_LIBRARY_PATH ?? "").split(":").filter((folder) => folder !== "");
  for (const file of childrenOf("/etc/ld.so.conf.d", /\.conf$/)) {
    for (const line of readText(file).split("\n")) {
      if (line.startsWith("/")) folders.push(line.trim());
    }
  }
  const triple = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  return [...folders, `/usr/lib/${triple}`, "/usr/lib64", "/usr/lib", "/usr/lib/wsl/lib"];
}

function inFolder(folder: string, origin: NvrtcOrigin): NvrtcLibrary[] {
  const byTarget = new Map<string, NvrtcLibrary>();
  for (const path of childrenOf(folder, /^libnvrtc\.so(\.\d+)*$/)) {
    // The development link, the soname and the file itself are one library.
    const target = realpathSync(path);
    if (!byTarget.has(target)) byTarget.set(target, describe(target, origin));
  }
  return [...byTarget.values()];
}

function describe(path: string, origin: NvrtcOrigin): NvrtcLibrary {
  const real = realpathSync(path);
  const own = /\.so\.(\d+)(?:\.(\d+))?/.exec(basename(real));
  const major = Number(own?.[1] ?? 0);
  const builtins = childrenOf(dirname(real), /^libnvrtc-builtins\.so\.\d+\.\d+$/).find(
    (file) => major === 0 || basename(file).includes(`.so.${major}.`),
  );
  const exact = builtins === undefined ? null : /\.so\.(\d+)\.(\d+)$/.exec(builtins);
  return {
    path: real,
    origin,
    version: {
      major: Number(exact?.[1] ?? major),
      minor: Number(exact?.[2] ?? own?.[2] ?? 0),
    },
    builtins,
  };
}

function childrenOf(folder: string, name: RegExp): string[] {
  try {
    return readdirSync(folder)
      .filter((child) => name.test(child))
      .sort()
      .map((child) => join(folder, child))
      .filter((child) => existsSync(child));
  } catch {
    return []; // Absent or unreadable: nothing to find there.
  }
}

const isDirectory = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

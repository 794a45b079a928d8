import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { HydrantError } from "../../../src/util/errors.ts";

export interface CublasLibrary {
  readonly path: string;
  /** libcublas needs it, and would look for it on the loader's path alone. */
  readonly ltPath: string | undefined;
}

/**
 * Finds libcublas: `HYDRANT_CUBLAS` (a file), which is then the only one; CUDA toolkits; the
 * nvidia-cublas wheel beside python3; the loader's folders. The newest whose major version is at most
 * `maxMajor`, the driver's.
 * @throws HydrantError `bench/peer` when there is none.
 */
export function findCublas(
  maxMajor = Number.POSITIVE_INFINITY,
  env: NodeJS.ProcessEnv = process.env,
): CublasLibrary {
  const forced = env.HYDRANT_CUBLAS;
  const found =
    forced !== undefined && forced !== ""
      ? existsSync(forced)
        ? [forced]
        : []
      : folders(env).flatMap((folder) => children(folder, /^libcublas\.so\.\d+$/));
  const [path] = found
    .filter((file) => forced === file || majorOf(file) <= maxMajor)
    .toSorted((a, b) => majorOf(b) - majorOf(a));
  if (path === undefined)
    throw new HydrantError("bench/peer", "There is no libcublas on this machine.", {
      ...(forced ? { path: forced } : {}),
      hint: "Install a CUDA toolkit or the nvidia-cublas wheel, or point HYDRANT_CUBLAS at libcublas.so.",
    });
  const ltPath = path.replace(/libcublas(?=\.so[^/]*$)/, "libcublasLt");
  return { path, ltPath: existsSync(ltPath) && ltPath !== path ? ltPath : undefined };
}

function folders(env: NodeJS.ProcessEnv): string[] {
  const toolkits = [env.CUDA_HOME, env.CUDA_PATH, ...children("/usr/local", /^cuda/), "/opt/cuda"];
  const sites = sitePackages();
  return [
    ...toolkits.filter((root) => root !== undefined).map((root) => join(root, "lib64")),
    ...sites.flatMap((site) => [
      join(site, "nvidia", "cublas", "lib"),
      ...children(join(site, "nvidia"), /^cu\d+$/).map((cuda) => join(cuda, "lib")),
    ]),
    ...(env.LD_LIBRARY_PATH ?? "").split(":").filter((folder) => folder !== ""),
    `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`,
    "/usr/lib64",
  ];
}

/** Where the python3 on PATH keeps its packages: it knows best which environment it is. */
function sitePackages(): string[] {
  try {
    const program =
      "import site, sysconfig; print(sysconfig.get_path('purelib'), sysconfig.get_path('platlib'), site.getusersitepackages(), *site.getsitepackages(), sep='\\n')";
    const text = execFileSync("python3", ["-c", program], {
      encoding: "utf8",
      timeout: 10_000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return [...new Set(text.split("\n").filter((line) => line !== ""))];
  } catch {
    return []; // No Python, no wheels.
  }
}

function majorOf(file: string): number {
  return Number(/\.so\.(\d+)/.exec(file)?.[1] ?? 0);
}

function children(folder: string, name: RegExp): string[] {
  try {
    return readdirSync(folder)
      .filter((child) => name.test(child))
      .map((child) => join(folder, child));
  } catch {
    return []; // Absent or unreadable: nothing to find there.
  }
}

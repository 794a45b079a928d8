import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { HydrantError } from "../../util/errors.ts";
import { type KernelSpec, type LaunchSpec, parseKernelSpec } from "../inspect/kernel-spec.ts";

/** A kernel's folder as `hydra inspect --out` writes it, and what became of its `kernel.cu`. */
export interface KernelFolder {
  readonly path: string;
  readonly spec: KernelSpec;
  /** `reference.cu`: the kernel as generated. */
  readonly reference: string;
  /** `kernel.cu`: the kernel as edited. */
  readonly edited: string;
}

/**
 * @throws HydrantError `kernel/folder` for a folder that is no kernel's, `inspect/spec` for a spec of
 *   another form.
 */
export async function readKernelFolder(path: string): Promise<KernelFolder> {
  const file = join(path, "spec.json");
  const text = await readFile(file, "utf8").catch(async (error: unknown) => {
    throw await notKernelFolder(path, error);
  });
  const [reference, edited] = await Promise.all([
    readSource(path, "reference.cu"),
    readSource(path, "kernel.cu"),
  ]);
  return { path, spec: parseKernelSpec(text, file), reference, edited };
}

async function readSource(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new HydrantError("kernel/folder", `The folder has no readable ${name}.`, {
      path,
      hint: "Write the kernel's folder anew with `hydra inspect --out DIR`.",
      cause: error,
    });
  }
}

/** People give the folder of all kernels where one kernel's is meant: then these are the choices. */
async function notKernelFolder(path: string, cause: unknown): Promise<HydrantError> {
  const names = await readdir(path).catch(() => []);
  const kernels: string[] = [];
  for (const name of names) {
    const isKernel = await access(join(path, name, "spec.json")).then(
      () => true,
      () => false,
    );
    if (isKernel) kernels.push(name);
  }
  const shown = kernels.slice(0, 5).map((name) => join(path, name));
  return new HydrantError("kernel/folder", "This is not the folder of one kernel.", {
    path,
    hint:
      shown.length === 0
        ? "Make one with `hydra inspect --out DIR`; it has a folder for every kernel."
        : `Give one of the ${kernels.length} in it: ${shown.join(", ")}${kernels.length > shown.length ? ", …" : ""}`,
    cause,
  });
}

/**
 * One of the kinds of launches of a kernel.
 * @param number from 1.
 * @throws HydrantError `kernel/launch` for a number there is none of.
 */
export function chooseLaunch({ path, spec }: KernelFolder, number: number): LaunchSpec {
  const launch = spec.launches[number - 1];
  if (launch !== undefined) return launch;
  const lines = spec.launches.map(({ label, grid }, i) => `${i + 1} (${grid.join("×")}: ${label})`);
  throw new HydrantError("kernel/launch", `The kernel has no launch ${number}.`, {
    path,
    hint: `It has ${lines.join(", ")}.`,
  });
}

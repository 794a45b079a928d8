import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { HydrantError } from "../../util/errors.ts";
import { diffInspections, type InspectionDiff } from "./diff.ts";
import type { DiffSide } from "./diff-kernels.ts";
import { chooseKernels, inspectProgram, type InspectProgramOptions } from "./inspect-program.ts";
import type { SavedInspection } from "./save-inspection.ts";

/** What a program is compared with: a folder of `--out`, or another configuration. */
export type DiffOther = { readonly folder: string } | { readonly options: InspectProgramOptions };

/**
 * Compares the program of `options` with another, which counts as the earlier one.
 * @throws HydrantError `inspect/saved` for a folder that is no inspection; what `inspectProgram` throws.
 */
export async function diffPrograms(
  options: InspectProgramOptions,
  other: DiffOther,
): Promise<InspectionDiff> {
  // What is on disk fails fast; compiling takes longer.
  const saved = "folder" in other ? await loadSaved(other.folder) : undefined;
  const before = saved ?? ("options" in other ? await inspectSide(other.options) : undefined);
  const after = await inspectSide(options);
  const diff = diffInspections(before ?? after, after, options.kernel);
  const { pairs, onlyBefore, onlyAfter } = diff;
  // Neither has one: then the name is wrong, and this says so.
  if (pairs.length + onlyBefore.length + onlyAfter.length === 0)
    chooseKernels(after.inspection.kernels, options.kernel);
  return diff;
}

/** With `kernel`, a side that has none of that name is still one to compare with. */
async function inspectSide(options: InspectProgramOptions): Promise<DiffSide> {
  const inspect = (more: InspectProgramOptions) => inspectProgram({ ...more, sass: "no" });
  const inspection = await inspect(options).catch((error: unknown) => {
    const isNone = error instanceof HydrantError && error.code === "inspect/kernel";
    if (!isNone) throw error;
    return inspect({ ...options, kernel: undefined, compile: "no" });
  });
  return {
    inspection,
    cuda: new Map(inspection.kernels.map(({ entry, cuda }) => [entry, cuda])),
  };
}

/** Reads what `saveInspection` wrote: the kernels as generated, whatever became of `kernel.cu`. */
async function loadSaved(folder: string): Promise<DiffSide> {
  const inspection = await readInspection(join(folder, "inspection.json"));
  const texts = await Promise.all(
    inspection.kernels.map(async ({ entry }) => {
      const text = await readFile(join(folder, entry, "reference.cu"), "utf8").catch(
        () => undefined,
      );
      return text === undefined ? [] : [[entry, text] as const];
    }),
  );
  return { inspection, cuda: new Map(texts.flat()) };
}

async function readInspection(path: string): Promise<SavedInspection> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    if (isInspection(value)) return value;
  } catch (error) {
    throw notSaved(path, error);
  }
  throw notSaved(path, undefined);
}

/** The rest is taken as written: the file is ours. */
function isInspection(value: unknown): value is SavedInspection {
  return (
    typeof value === "object" &&
    value !== null &&
    "kernels" in value &&
    Array.isArray(value.kernels) &&
    "launches" in value &&
    "memory" in value
  );
}

function notSaved(path: string, cause: unknown): HydrantError {
  return new HydrantError("inspect/saved", "There is no saved inspection.", {
    path,
    hint: 'Give a folder that `hydra inspect --out DIR` wrote, or other settings in quotes: --diff "--arch sm_80".',
    cause,
  });
}

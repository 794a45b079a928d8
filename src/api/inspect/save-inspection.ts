import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type {
  CompiledKernel,
  Inspection,
  InspectedGroup,
  InspectedKernel,
} from "../../inspection/inspection.ts";
import { HydrantError } from "../../util/errors.ts";
import { type InspectProgramOptions, inspectWithSpecs } from "./inspect-program.ts";
import type { KernelSpec } from "./kernel-spec.ts";

const index = "inspection.json";

/** An inspection as in `inspection.json`: texts of kernels are in their folders. */
export type SavedInspection = Omit<Inspection, "kernels"> & {
  readonly kernels: readonly SavedKernel[];
};

type SavedKernel = Omit<InspectedKernel, "generated" | "cuda" | "compiled"> & {
  readonly compiled?:
    | Omit<CompiledKernel, "ptx" | "ptxLines" | "sass" | "sassLines" | "log">
    | undefined;
};

/**
 * Inspects a program and writes a folder for each kernel, named by its entry: `graph.txt`,
 * `spec.json`, `kernel.cu`, `reference.cu` (the same, to compare an edited `kernel.cu` with),
 * `kernel.ptx`, `kernel.sass`, `resources.json` and `nvrtc.log`, the last four where they can be had;
 * beside them `inspection.json` and `plan.txt`. An earlier inspection in the folder is replaced.
 * @throws HydrantError `inspect/folder` for a folder that holds anything else, or kernels somebody has
 *   edited; what `inspectProgram` throws.
 */
export async function saveInspection(
  directory: string,
  options: InspectProgramOptions,
): Promise<Inspection> {
  const old = await earlierKernels(directory);
  const { inspection, specs, plan } = await inspectWithSpecs(options);
  for (const entry of old) await rm(join(directory, entry), { recursive: true });
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "plan.txt"), plan);
  for (const spec of specs) {
    const number = inspection.kernels.findIndex(({ entry }) => entry === spec.entry);
    const kernel = inspection.kernels[number];
    if (kernel === undefined) continue;
    const folder = join(directory, kernel.entry);
    await mkdir(folder);
    for (const [name, text] of filesOf(inspection, kernel, number, spec))
      await writeFile(join(folder, name), text);
  }
  // Last, as it says that the folder is an inspection.
  await writeFile(join(directory, index), json(withoutTexts(inspection)));
  return inspection;
}

function filesOf(
  inspection: Inspection,
  kernel: InspectedKernel,
  number: number,
  spec: KernelSpec,
): readonly (readonly [name: string, text: string])[] {
  const { cuda, compiled } = kernel;
  const files: [string, string][] = [
    ["graph.txt", graphOf(inspection, number)],
    ["spec.json", json(spec)],
    ["kernel.cu", cuda],
    ["reference.cu", cuda],
  ];
  if (compiled !== undefined) {
    const { ptx, sass, log, ptxLines: _, sassLines: __, ...resources } = compiled;
    files.push(
      ["kernel.ptx", ptx],
      ["resources.json", json(resources)],
      ["nvrtc.log", log === "" ? "" : `${log}\n`],
    );
    if (sass !== undefined) files.push(["kernel.sass", sass]);
  }
  return files;
}

/** What a kernel computes: its groups, and the nodes computed in place of which they read. */
export function graphOf({ nodes, groups, launches }: Inspection, kernel: number): string {
  const makers = new Map(nodes.flatMap((node) => node.results.map(({ value }) => [value, node])));
  const own = new Set(
    launches.flatMap((launch) =>
      launch.kernel === kernel && launch.group !== undefined ? [launch.group] : [],
    ),
  );
  if (own.size === 0) return "# the new values of the states, and the outputs\n";
  // Told once, before the first group that uses it.
  const told = new Set<number>();
  const block = (group: InspectedGroup): string[] => {
    const inline = new Set<number>();
    const visit = (operands: readonly number[]): void => {
      for (const operand of operands) {
        const node = makers.get(operand);
        if (node === undefined || node.group !== undefined) continue;
        const at = nodes.indexOf(node);
        if (told.has(at)) continue;
        told.add(at);
        visit(node.operands);
        inline.add(at);
      }
    };
    const members = group.nodes.flatMap((at) => nodes[at] ?? []);
    for (const { operands } of members) visit(operands);
    const computed = [...inline].sort((a, b) => a - b).flatMap((at) => nodes[at]?.text ?? []);
    return [
      `${group.kind}  # ${group.label}`,
      ...(computed.length === 0 ? [] : ["  in place:", ...computed.map((text) => `    ${text}`)]),
      ...members.map(({ text }) => `  ${text}`),
    ];
  };
  return `${[...own]
    .flatMap((at) => groups[at] ?? [])
    .flatMap(block)
    .join("\n")}\n`;
}

function withoutTexts(inspection: Inspection): SavedInspection {
  return {
    ...inspection,
    kernels: inspection.kernels.map(({ generated: _, cuda: __, compiled, ...kernel }) => {
      if (compiled === undefined) return kernel;
      const { ptx, ptxLines, sass, sassLines, log, ...resources } = compiled;
      return { ...kernel, compiled: resources };
    }),
  };
}

/** Folders of an earlier inspection that may go. */
async function earlierKernels(directory: string): Promise<readonly string[]> {
  const names = existsSync(directory) ? await readdir(directory) : [];
  if (names.length === 0) return [];
  if (!names.includes(index)) {
    throw new HydrantError("inspect/folder", "The folder holds something other than kernels.", {
      path: directory,
      hint: "Give a new or an empty folder.",
    });
  }
  const folders = names.filter((name) => existsSync(join(directory, name, "spec.json")));
  const edited: string[] = [];
  for (const name of folders) {
    if (
      (await read(directory, name, "kernel.cu")) !== (await read(directory, name, "reference.cu"))
    )
      edited.push(name);
  }
  if (edited.length === 0) return folders;
  throw new HydrantError("inspect/folder", `There are edited kernels: ${edited.join(", ")}.`, {
    path: directory,
    hint: "Give another folder, or remove this one.",
  });
}

async function read(...path: readonly string[]): Promise<string | undefined> {
  const file = join(...path);
  return existsSync(file) ? await readFile(file, "utf8") : undefined;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

import type { CompiledKernel, Inspection } from "../../inspection/inspection.ts";
import { inspectedTree } from "../inspected-tree.ts";
import { printProgram } from "../../ir/program-print.ts";
import type { KernelSource } from "../../ir/program.ts";
import type { TreeTopology } from "../../speculation/tree.ts";
import { HydrantError } from "../../util/errors.ts";
import { packageVersion } from "../../util/package-version.ts";
import { cudaHeaders } from "../cuda-headers.ts";
import type { Wanted } from "./choose-tools.ts";
import { inspectCommand } from "./command.ts";
import type { FlatKernel } from "./compile-kernels.ts";
import { describeProgram } from "./describe-program.ts";
import { flattenCuda } from "./flatten-cuda.ts";
import type { KernelSpec } from "./kernel-spec.ts";
import { makeKernelSpec } from "./make-spec.ts";
import { readMeasured } from "./measured.ts";
import { modelSettings } from "./model-settings.ts";
import { describeSubject, type Subject, type SubjectOptions } from "./subject.ts";

/** What to inspect, and how much work to put into it. */
export interface InspectProgramOptions extends SubjectOptions {
  /** Only kernels whose name or family contains this are compiled. */
  readonly kernel?: string | undefined;
  /** PTX and resources, by NVRTC; default `if-possible`. */
  readonly compile?: Wanted | undefined;
  /** Machine code, by nvdisasm; default `if-possible` with `compile`. */
  readonly sass?: Wanted | undefined;
  /** A results file with times of kernels. */
  readonly measured?: string | undefined;
  /** Called after every kernel that has been compiled. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** An inspection, and what its folders hold beyond it. */
export interface InspectedProgram {
  readonly inspection: Inspection;
  /** Of the kernels asked for, all of them without `kernel`. */
  readonly specs: readonly KernelSpec[];
  /** The launch plan as text, repeated layers folded. */
  readonly plan: string;
}

/**
 * A compiled program as data, for tools and pages: graph, groups, kernels with their PTX and what they
 * take, launches with what they move, memory. Needs no GPU and no weights.
 * @throws HydrantError for what cannot be read, unknown names, kernels that are not there, and what
 *   was required and cannot be had; CompileError.
 */
export async function inspectProgram(options: InspectProgramOptions): Promise<Inspection> {
  return (await inspectWithSpecs(options)).inspection;
}

/** As `inspectProgram`, with what launching its kernels takes. */
export async function inspectWithSpecs(options: InspectProgramOptions): Promise<InspectedProgram> {
  const subject = await describeSubject(options);
  const measured =
    options.measured === undefined ? undefined : await readMeasured(options.measured);
  const { compileStages } = await import("../../../codegen/compile.ts");
  const compilation = compileStages(subject.graph, subject.dims, subject.target);
  const { program, fused } = compilation;
  const wanted = new Set(chooseKernels(program.kernels, options.kernel));
  const kernels = program.kernels.map(flatten);
  const chosen = kernels.filter(({ kernel }) => wanted.has(kernel));
  const code = await compileChosen(subject, chosen, options);
  const described = describeProgram(compilation, {
    gpu: subject.gpu,
    kernels,
    compiled: code.compiled,
    measured: measured?.times,
  });
  const { compileOptions } = await import("./compile-kernels.ts");
  const target = { arch: subject.gpu.arch, compileOptions: compileOptions(subject.gpu.arch) };
  const inspection: Inspection = {
    title: titleOf(options, subject),
    version: packageVersion(),
    command: inspectCommand(options),
    made: new Date().toISOString(),
    gpu: subject.gpu,
    ...(code.nvrtc === undefined ? {} : { nvrtc: code.nvrtc }),
    ...(code.notCompiled === undefined ? {} : { notCompiled: code.notCompiled }),
    ...(code.noSass === undefined ? {} : { noSass: code.noSass }),
    model: modelSettings(subject),
    ...(subject.tree === undefined ? {} : { tree: inspectedTree(subject.tree) }),
    ...described,
    ...(measured === undefined ? {} : { measured: measured.source }),
  };
  return {
    inspection,
    specs: chosen.map(({ kernel }) => makeKernelSpec(program, fused.graph, kernel, target)),
    plan: printProgram(program, { fold: true }),
  };
}

/** A kernel and its text as one translation unit. */
export function flatten(kernel: KernelSource): FlatKernel {
  return { kernel, cuda: flattenCuda(kernel, cudaHeaders(kernel.source)) };
}

/**
 * The kernel of this name, or else the kernels whose name or family contains it; all of them without
 * a name.
 * @throws HydrantError `inspect/kernel` when there are none.
 */
export function chooseKernels<K extends { readonly entry: string; readonly family: string }>(
  kernels: readonly K[],
  name: string | undefined,
): readonly K[] {
  if (name === undefined) return kernels;
  const exact = kernels.filter(({ entry }) => entry === name);
  if (exact.length > 0) return exact;
  const chosen = kernels.filter(
    ({ entry, family }) => entry.includes(name) || family.includes(name),
  );
  if (chosen.length > 0) return chosen;
  throw new HydrantError("inspect/kernel", `No kernel is called "${name}".`, {
    hint: `There are ${kernels.map(({ entry }) => entry).join(", ")}.`,
  });
}

interface CompiledCode {
  readonly compiled: ReadonlyMap<string, CompiledKernel>;
  readonly nvrtc?: string;
  readonly notCompiled?: string;
  readonly noSass?: string;
}

async function compileChosen(
  { gpu }: Subject,
  chosen: readonly FlatKernel[],
  options: InspectProgramOptions,
): Promise<CompiledCode> {
  const { compile = "if-possible", onProgress } = options;
  const none = new Map<string, CompiledKernel>();
  if (compile === "no") return { compiled: none };
  try {
    const { chooseTools } = await import("./choose-tools.ts");
    const { compileKernels, versionOf } = await import("./compile-kernels.ts");
    const { nvrtc, disassembler, noSass } = await chooseTools(
      gpu.arch,
      options.sass ?? "if-possible",
    );
    const compiled = await compileKernels(nvrtc, chosen, { gpu, disassembler, onProgress });
    return {
      compiled: new Map(
        chosen.flatMap(({ kernel }, index) => {
          const one = compiled[index];
          return one === undefined ? [] : [[kernel.entry, one]];
        }),
      ),
      nvrtc: versionOf(nvrtc),
      ...(noSass === undefined ? {} : { noSass }),
    };
  } catch (error) {
    // Without a compiler there is still everything else; a kernel that fails is another matter.
    if (compile === "required" || !isMissing(error)) throw error;
    return { compiled: none, notCompiled: error.oneLine };
  }
}

const missing = new Set(["nvrtc/not-found", "nvrtc/load", "nvrtc/unsupported-arch"]);

function isMissing(error: unknown): error is HydrantError {
  return error instanceof HydrantError && missing.has(error.code);
}

function titleOf(options: InspectProgramOptions, { drafter, tree, gpu, dims }: Subject): string {
  const name = options.shape ?? options.model?.replace(/\/+$/, "").split("/").at(-1) ?? "";
  const heads = drafter.maxDepth === 0 ? "" : ` with ${drafter.name}`;
  const what = tree === undefined ? `prefill of ${dims.rows} rows` : stepOver(tree);
  return `${name}${heads}, ${what}, ${gpu.arch}`;
}

const stepOver = (tree: TreeTopology): string =>
  tree.size === 1 ? "plain step" : `step over ${tree.name}`;

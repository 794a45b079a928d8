import type { Compilation } from "../../../codegen/compile.ts";
import { printGraph } from "../../ir/print.ts";
import { printProgram } from "../../ir/program-print.ts";
import { type InspectProgramOptions, inspectProgram } from "./inspect-program.ts";
import { planJson, specsJson } from "./print-json.ts";
import { printCode, printCuda, printKernels } from "./print-kernels.ts";
import { describeSubject, type Subject, type SubjectOptions } from "./subject.ts";

/** In the order in which one becomes the next. */
export const inspectStages = ["graph", "fused", "specs", "cuda", "ptx", "sass", "plan"] as const;
/** What `inspect` can print. */
export type InspectStage = (typeof inspectStages)[number];

/** What to inspect, and which of its stages to print. */
export interface InspectOptions extends SubjectOptions {
  /** Default `plan`. */
  readonly stage?: InspectStage | undefined;
  /** Of the stages that are about kernels: only those whose name or family contains this. */
  readonly kernel?: string | undefined;
  /** With stage `plan`: fold repeated layers; default true. */
  readonly fold?: boolean | undefined;
  /** With stage `cuda`: only what was generated, with its includes as they are; default false. */
  readonly generated?: boolean | undefined;
  /** With stages `specs` and `plan`: JSON in place of text; default false. */
  readonly json?: boolean | undefined;
  /** A results file with times of kernels, for stage `specs`. */
  readonly measured?: InspectProgramOptions["measured"];
  /** Called after every kernel that has been compiled. */
  readonly onProgress?: InspectProgramOptions["onProgress"];
}

/**
 * What is made of a model on the way to a GPU, as text; needs no GPU and no weights. Stages `ptx` and
 * `sass` need NVRTC, `sass` nvdisasm as well; `specs` says less without.
 * @throws HydrantError for what cannot be read, unknown names, kernels that are not there and tools
 *   that are missing; CompileError.
 */
export async function inspect(options: InspectOptions): Promise<string> {
  const { stage = "plan" } = options;
  switch (stage) {
    case "graph":
      return printGraph((await describeSubject(options)).graph);
    case "fused": {
      const { printFusedGraph } = await import("../../../codegen/fused-graph.ts");
      return printFusedGraph((await compile(await describeSubject(options))).fused);
    }
    case "plan": {
      if (options.json === true)
        return planJson(await inspectProgram({ ...options, kernel: undefined, compile: "no" }));
      const { program } = await compile(await describeSubject(options));
      return printProgram(program, { fold: options.fold ?? true });
    }
    case "specs": {
      const inspection = await inspectProgram({ ...options, sass: "no" });
      return options.json === true
        ? specsJson(inspection, options.kernel)
        : printKernels(inspection, options.kernel);
    }
    case "cuda": {
      const subject = await describeSubject(options);
      const { program } = await compile(subject);
      return printCuda(program, subject.gpu.arch, options);
    }
    case "ptx": {
      const inspection = await inspectProgram({ ...options, compile: "required", sass: "no" });
      return printCode(inspection, ({ ptx }) => ptx);
    }
    case "sass": {
      const required = { compile: "required", sass: "required" } as const;
      const inspection = await inspectProgram({ ...options, ...required });
      return printCode(inspection, ({ sass }) => sass);
    }
    default:
      return stage satisfies never;
  }
}

async function compile({ graph, dims, target }: Subject): Promise<Compilation> {
  const { compileStages } = await import("../../../codegen/compile.ts");
  return compileStages(graph, dims, target);
}

/*
 * How a page holds its data: one compressed block with everything but the texts of kernels, and a
 * block per kernel with its texts, so that megabytes of PTX are unpacked when they are looked at.
 */

import type { CompiledKernel, InspectedKernel, Inspection } from "./inspection.ts";
import type { RecordedGeneration } from "./recorded-generation.ts";

/** Id of the script element with the `StoredPage`. */
export const pageBlockId = "page-data";

/** Id of the script element with a kernel's `KernelTexts`. */
export const kernelBlockId = (kernel: number): string => `kernel-${kernel}`;

export interface StoredPage {
  readonly program?: ProgramOutline | undefined;
  readonly generation?: RecordedGeneration | undefined;
}

export interface ProgramOutline extends Omit<Inspection, "kernels"> {
  readonly kernels: readonly KernelOutline[];
}

export interface KernelOutline extends Omit<InspectedKernel, "generated" | "cuda" | "compiled"> {
  readonly compiled?: CompiledOutline | undefined;
}

export type CompiledOutline = Omit<
  CompiledKernel,
  "ptx" | "ptxLines" | "sass" | "sassLines" | "log"
>;

export interface KernelTexts
  extends Pick<InspectedKernel, "generated" | "cuda">,
    Partial<Pick<CompiledKernel, "ptx" | "ptxLines" | "sass" | "sassLines" | "log">> {}

import { choiceCases } from "./choice-cases.ts";
import type { KernelCase } from "./kernel-case.ts";
import { linearCases } from "./linear-cases.ts";
import { rowCases } from "./row-cases.ts";

/** Every case, in the order of a decoder layer and a step. */
export const kernelCases: readonly KernelCase[] = [...linearCases, ...rowCases, ...choiceCases];

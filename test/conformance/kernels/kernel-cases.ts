/** All kernels of the conformance suite: for the emulator, and for a GPU where there is one. */
import { asyncCases } from "./async-cases.ts";
import { controlCases } from "./control-cases.ts";
import { floatCases } from "./float-cases.ts";
import { integerCases } from "./integer-cases.ts";
import type { KernelCase } from "./kernel-case.ts";
import { matrixCases } from "./matrix-cases.ts";
import { memoryCases } from "./memory-cases.ts";
import { syncCases } from "./sync-cases.ts";
import { warpCases } from "./warp-cases.ts";

export const kernelCases: readonly KernelCase[] = [
  ...integerCases,
  ...floatCases,
  ...controlCases,
  ...memoryCases,
  ...warpCases,
  ...syncCases,
  ...matrixCases,
  ...asyncCases,
];

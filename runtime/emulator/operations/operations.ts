/** Which handler executes which warp-wide opcode. */
import { arriveOnly } from "../execute/barriers.ts";
import type { Machine } from "../execute/machine.ts";
import type { Instruction } from "../ptx/ptx.ts";
import type { KernelContext } from "../translate/kernel-context.ts";
import { callBuiltin, dependencyControl, fence, nothing, trap } from "./control-operations.ts";
import { commitGroup, copyAsync, waitGroup } from "./async-copy.ts";
import { bulkCopy } from "./bulk-copy.ts";
import {
  loadMatrix,
  loadMatrixAccess,
  partialMatrixMultiply,
  storeMatrix,
} from "./matrix-operations.ts";
import { arriveAfterCopies, mbarrier } from "./mbarrier.ts";
import { tensorCopy } from "./tensor-copy.ts";
import { type Handler, Operation } from "./operation.ts";
import { activeMask, elect, match, reduce, shuffle, vote, warpSync } from "./warp-operations.ts";
import { wgmma } from "./wgmma.ts";

type Factory = (op: Operation) => Handler;

const FACTORIES: Readonly<Record<string, Factory>> = {
  shfl: shuffle,
  vote,
  match,
  redux: reduce,
  activemask: activeMask,
  elect,
  call: callBuiltin,
  trap,
  brkpt: trap,
  nanosleep: nothing,
  membar: fence,
  fence,
  griddepcontrol: dependencyControl,
  setmaxnreg: nothing,
  createpolicy: nothing,
  ldmatrix: loadMatrix,
  stmatrix: storeMatrix,
  mma: partialMatrixMultiply,
  mbarrier,
  wgmma,
};

/** The handler of an instruction. Throws `emulator/unsupported` for what there is none for. */
export function operationHandler(
  instruction: Instruction,
  context: KernelContext,
  machine: Machine,
): Handler {
  const op = new Operation(instruction, context, machine);
  return op.guarded(factoryOf(instruction, op)(op));
}

/** Only what the sanitiser is told of an ldmatrix that WebAssembly executes. */
export function matrixAccess(
  instruction: Instruction,
  context: KernelContext,
  machine: Machine,
): Handler {
  return loadMatrixAccess(new Operation(instruction, context, machine));
}

function factoryOf({ parts }: Instruction, op: Operation): Factory {
  const family = parts[0] ?? "";
  switch (family) {
    case "bar":
    case "barrier":
      if (parts.includes("warp")) return warpSync;
      if (parts.includes("arrive")) return arriveOnly;
      return op.fail();
    case "cp":
      return copyFactory(parts, op);
    default:
      return FACTORIES[family] ?? op.fail();
  }
}

function copyFactory(parts: readonly string[], op: Operation): Factory {
  if (parts[1] !== "async") return op.fail();
  switch (parts[2]) {
    case "bulk":
      return parts.includes("tensor") ? tensorCopy : bulkCopy;
    case "mbarrier":
      return arriveAfterCopies;
    case "commit_group":
      return commitGroup;
    case "wait_group":
    case "wait_all":
      return waitGroup;
    default:
      return copyAsync;
  }
}

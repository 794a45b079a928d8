/** Operations on the run itself: traps, and what needs no doing here. */
import type { Operand } from "../ptx/ptx.ts";
import { printf } from "./printf.ts";
import { eachLane } from "./warp-operations.ts";
import { firstLane, type Handler, type Operation } from "./operation.ts";

export function nothing(): Handler {
  return () => {};
}

/** Fences order nothing here, where accesses happen one by one; the sanitiser wants to know. */
export function fence(op: Operation): Handler {
  const { machine } = op;
  if (op.has("proxy") && op.has("async") && !op.has("global")) {
    return (_warp, mask) => machine.sanitizer?.proxyFenced(mask);
  }
  const reaches = ["gl", "sys", "gpu", "cluster"].some((scope) => op.has(scope));
  return reaches ? () => machine.sanitizer?.fenced() : nothing();
}

/** Launches run one after another here, so that a wait is news to the sanitiser alone. */
export function dependencyControl(op: Operation): Handler {
  const { machine } = op;
  return op.has("wait") ? () => machine.sanitizer?.dependencyWaited() : nothing();
}

/** Calls of functions that only the device itself has. */
export function callBuiltin(op: Operation): Handler {
  const target = op.operand(0);
  const list = op.operand(1);
  if (target.kind !== "function" || list.kind !== "list") return op.fail();
  switch (target.name) {
    case "__assertfail":
      return trap(op);
    case "cudaGraphSetConditional":
      return setCondition(op, list.items);
    case "vprintf":
      return printf(op, list.items);
    default:
      return op.fail();
  }
}

function setCondition(op: Operation, args: readonly Operand[]): Handler {
  const [handle, value] = args;
  if (handle?.kind !== "reg" || value === undefined) return op.fail();
  const row = op.row(handle) >> 3;
  const { machine } = op;
  const read = op.reader(value);
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      const at = (warp >> 3) + row + lane;
      machine.setCondition(machine.u64[at] ?? 0n, read(warp, lane) >>> 0);
    });
  };
}

/** trap, and failed assertions. */
export function trap(op: Operation): Handler {
  return (_warp, mask) => {
    op.machine.abort(
      "unsupported",
      "the kernel executed trap (a failed assertion or an explicit __trap)",
      op.instruction,
      firstLane(mask),
    );
  };
}

/** Operations on the run itself: traps, and what needs no doing here. */
import { firstLane, type Handler, type Operation } from "./operation.ts";

export function nothing(): Handler {
  return () => {};
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

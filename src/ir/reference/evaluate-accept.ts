import { type OpName, samplingFields } from "../op.ts";
import { acceptMatch, acceptTypical, type LogitsOf } from "./accept.ts";
import type { Sampler } from "./sampling.ts";

/** Operands of the accept ops as plain arrays (see `accept_match` in the op catalogue). */
export interface AcceptOperands {
  readonly logitsOf: LogitsOf;
  readonly tokens: Int32Array;
  readonly parents: Int32Array;
  readonly length: number;
  /** Token of every slot; those before `length` are committed. */
  readonly history: Int32Array;
  readonly sampling: Float32Array | Float64Array;
  readonly seed: bigint;
}

export interface AcceptResults {
  readonly path: Int32Array;
  readonly count: number;
  readonly following: Int32Array;
}

/**
 * The accept ops, for every executor that runs them on the host: the walk itself, then its result
 * in the fixed-size form the graph needs.
 */
export function evaluateAccept(
  op: Extract<OpName, "accept_match" | "accept_typical">,
  operands: AcceptOperands,
  pathLength: number,
  sampler?: Sampler,
): AcceptResults {
  const { tokens, history, length } = operands;
  const field = (name: (typeof samplingFields)[number]) =>
    operands.sampling[samplingFields.indexOf(name)] ?? 0;
  const accepted =
    op === "accept_match"
      ? acceptMatch(
          operands,
          operands.logitsOf,
          {
            temperature: field("temperature"),
            topK: field("topK"),
            topP: field("topP"),
            minP: field("minP"),
            repetitionPenalty: field("repetitionPenalty"),
            seed: operands.seed,
          },
          { length, committed: history.subarray(0, length) },
          sampler,
        )
      : acceptTypical(operands, operands.logitsOf, {
          temperature: field("temperature"),
          posteriorThreshold: field("posteriorThreshold"),
          posteriorAlpha: field("posteriorAlpha"),
        });
  const path = new Int32Array(pathLength);
  const following = new Int32Array(pathLength);
  for (const [index, node] of accepted.path.entries()) {
    path[index] = node;
    const after = accepted.path[index + 1];
    following[index] = after === undefined ? accepted.next : (tokens[after] ?? 0);
  }
  return { path, count: accepted.path.length, following };
}

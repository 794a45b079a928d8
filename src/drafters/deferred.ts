import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { tensor } from "../ir/shape.ts";
import type { BaseModel } from "../models/llama.ts";
import type { Drafter } from "../speculation/drafter.ts";

export interface Deferred {
  /** The drafter, with committed rows written down instead of absorbed. */
  readonly drafter: Drafter;
  /**
   * Absorbs rows written down before, to be run ahead of a step that drafts.
   * Inputs: start i32[1], following i32[rows], count i32[1] (as `CommittedRows`).
   */
  readonly catchUp: Graph;
}

/**
 * Puts off what a drafter does after every step until it drafts again. While plain decoding is played
 * a step then costs what it costs without a drafter, but for one row written to `draft.log`.
 */
export function deferred(model: BaseModel, drafter: Drafter): Deferred {
  const { hiddenSize } = model.config;
  const log = tensor("f32", "capacity", hiddenSize);
  const b = new GraphBuilder("catch-up");
  const start = b.input("start", tensor("i32", 1));
  const following = b.input("following", tensor("i32", "rows"));
  const count = b.input("count", tensor("i32", 1));
  const hidden = b.gather(b.state("draft.log", log), b.add(b.iota("rows"), start), "draft.log");
  const last = b.add(count, b.constant("i32", [-1]));
  drafter.absorb(b, { hidden, following, start, last });
  return {
    catchUp: b.finish(),
    drafter: {
      ...drafter,
      absorb(builder, rows) {
        const written = builder.cacheWrite(
          builder.state("draft.log", log),
          rows.hidden,
          rows.start,
          "draft.log",
        );
        builder.update("draft.log", written);
      },
    },
  };
}

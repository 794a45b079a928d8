import type { GraphBuilder, Value } from "../ir/builder.ts";
import { tensor } from "../ir/shape.ts";
import type { BaseModel } from "../models/llama.ts";

/*
 * The one row most drafters carry from step to step: what they know of the text up to the last
 * committed token, f32[1, D].
 */

export function rememberHidden(
  b: GraphBuilder,
  model: BaseModel,
  hidden: Value,
  last: Value,
): void {
  b.state("draft.hidden", tensor("f32", 1, model.config.hiddenSize));
  b.update("draft.hidden", b.gather(hidden, last, "draft.hidden"));
}

export function rememberedHidden(b: GraphBuilder, model: BaseModel): Value {
  return b.state("draft.hidden", tensor("f32", 1, model.config.hiddenSize));
}

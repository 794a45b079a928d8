import { loadTokenizer } from "../text/load-tokenizer.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { HydrantError } from "../util/errors.ts";
import { resolveModelPath } from "../weights/hub.ts";

/**
 * The tokenizer of a model folder or hub id, without the weights.
 * @throws HydrantError `generate/no-tokenizer` when there is none.
 */
export async function openTokenizer(model: string): Promise<Tokenizer> {
  const dir = await resolveModelPath(model, "model");
  const tokenizer = await loadTokenizer(dir);
  if (tokenizer === undefined) {
    throw new HydrantError("generate/no-tokenizer", "The folder has no tokenizer.", {
      path: dir,
      hint: "It needs a tokenizer.json or a tokenizer.model.",
    });
  }
  return tokenizer;
}

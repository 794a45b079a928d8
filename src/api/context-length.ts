import type { ModelConfig } from "../models/config.ts";
import { HydrantError } from "../util/errors.ts";

const defaultContext = 4096;

/**
 * Tokens to make room for.
 * @throws HydrantError `load/context` for a number the model does not take.
 */
export function chooseContext(
  asked: number | undefined,
  { maxPositions }: Pick<ModelConfig, "maxPositions">,
): number {
  if (asked === undefined) return Math.min(maxPositions, defaultContext);
  if (!Number.isSafeInteger(asked) || asked < 1 || asked > maxPositions) {
    throw new HydrantError("load/context", `A context of ${asked} tokens was asked for.`, {
      hint: `This model takes 1 to ${maxPositions}.`,
    });
  }
  return asked;
}

import { type Acceptance, resolveAcceptance } from "../speculation/acceptance.ts";
import type { TreeTopology } from "../speculation/tree.ts";
import type { Message } from "../text/message.ts";
import { HydrantError } from "../util/errors.ts";

/** What to continue: exactly one of a text, a conversation, or token ids. */
export type PromptInput =
  | { readonly prompt: string }
  | { readonly messages: readonly Message[] }
  | { readonly tokens: readonly number[] };

/** How to continue. Every field has a default; the defaults decode greedily. */
export interface GenerateOptions {
  /** Tokens to generate at most; default 256. */
  readonly maxNewTokens?: number | undefined;
  /** 0 (default) takes the most probable token; above, tokens are drawn from softmax(logits / temperature). */
  readonly temperature?: number | undefined;
  /** Draw among the k most probable tokens; 0 (default) is off. */
  readonly topK?: number | undefined;
  /** Draw among the fewest tokens that hold this much probability; 1 (default) is off. */
  readonly topP?: number | undefined;
  /** Draw among tokens at least this fraction as probable as the best; 0 (default) is off. */
  readonly minP?: number | undefined;
  /** Divides logits of tokens seen before; 1 (default) is off. */
  readonly repetitionPenalty?: number | undefined;
  /** Same seed, same tokens, with or without speculation. Default: a random one, told in the stats. */
  readonly seed?: number | bigint | undefined;
  /** Ends the text before any of these strings. */
  readonly stop?: string | readonly string[] | undefined;
  /** Go on after the model's end-of-text token. */
  readonly ignoreEos?: boolean | undefined;
  /** `greedy` or `sample` (the default, by temperature) are exact; `typical` is lossy. */
  readonly acceptance?: string | undefined;
  /** For `typical`: a draft this probable always passes; default 0.09. */
  readonly posteriorThreshold?: number | undefined;
  /** For `typical`: scales the threshold where the model is unsure; default 0.3. */
  readonly posteriorAlpha?: number | undefined;
  /** `auto` (default), `autoregressive`, or the name of the loaded heads' method. */
  readonly method?: string | undefined;
  /**
   * The draft tree: a published tree's name, a list of paths, one read by `parseTreeJson`, or `auto`
   * to choose by measured cost.
   * Default: `auto` for method `auto`, else `mc_sim_7b_63` as deep as the heads go.
   */
  readonly tree?: string | TreeTopology | readonly (readonly number[])[] | undefined;
  /** Keep every step's tree, acceptance and time, and give them with the result; default false. */
  readonly record?: boolean | undefined;
  /** Stops within one step; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What to continue and how: `{ prompt: "Once", temperature: 0.8 }`. */
export type GenerateRequest = PromptInput & GenerateOptions;

/** A request's numbers, checked. */
export interface CheckedRequest {
  readonly acceptance: Acceptance;
  readonly seed: bigint;
  readonly maxNewTokens: number;
  readonly stops: readonly string[];
}

/** The fields of which a request has exactly one. */
const inputs = ["prompt", "messages", "tokens"] as const;

/** @throws HydrantError naming the field. */
export function checkRequest(request: GenerateRequest): CheckedRequest {
  // Types say the same, but plain JavaScript calls this too.
  const given = inputs.filter((name) => name in request);
  if (given.length !== 1) {
    throw new HydrantError(
      "generate/input",
      `The request has ${given.length === 0 ? "nothing to continue" : given.join(" and ")}.`,
      { hint: `Give exactly one of ${inputs.join(", ")}.` },
    );
  }
  if ("prompt" in request && typeof request.prompt !== "string") {
    throw new HydrantError("generate/input", "The prompt is not a string.");
  }
  const { maxNewTokens = 256, stop = [] } = request;
  const stops: readonly unknown[] = typeof stop === "string" ? [stop] : [...stop];
  if (!stops.every((each) => typeof each === "string")) {
    throw new HydrantError("generate/stop", "A stop string is not a string.");
  }
  if (!Number.isSafeInteger(maxNewTokens) || maxNewTokens < 1) {
    throw new HydrantError("generate/max-new-tokens", `maxNewTokens is ${maxNewTokens}.`, {
      hint: "It must be a whole number from 1 on.",
    });
  }
  const seed = toSeed(request.seed);
  const { temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = request;
  const acceptance = resolveAcceptance({
    sampling: { temperature, topK, topP, minP, repetitionPenalty, seed },
    ...(request.acceptance === undefined ? {} : { rule: request.acceptance }),
    ...(request.posteriorThreshold === undefined
      ? {}
      : { posteriorThreshold: request.posteriorThreshold }),
    ...(request.posteriorAlpha === undefined ? {} : { posteriorAlpha: request.posteriorAlpha }),
  });
  return { acceptance, seed, maxNewTokens, stops };
}

function toSeed(seed: number | bigint | undefined): bigint {
  if (seed === undefined) return BigInt(Math.floor(Math.random() * 2 ** 32));
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new HydrantError("sampling/params", `Sampling parameter seed is ${seed}.`, {
      hint: "It must be a whole number from 0 on; beyond 2^53 give a bigint.",
    });
  }
  return BigInt(seed);
}

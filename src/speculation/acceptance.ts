import { type SamplingParams, samplingParams } from "../ir/reference/sampling.ts";
import { HydrantError } from "../util/errors.ts";

/**
 * Names of the acceptance rules. `greedy` and `sample` give exactly what plain decoding gives;
 * `typical` is lossy and never chosen unless asked for.
 */
export const acceptanceNames = ["greedy", "sample", "typical"] as const;
export type AcceptanceName = (typeof acceptanceNames)[number];

/** A checked rule together with the sampling it applies. */
export type Acceptance =
  | {
      readonly rule: "greedy" | "sample";
      readonly lossless: true;
      readonly sampling: SamplingParams;
    }
  | {
      readonly rule: "typical";
      readonly lossless: false;
      readonly sampling: SamplingParams;
      /** ε: a token this probable always passes. */
      readonly posteriorThreshold: number;
      /** α: factor of exp(-entropy). */
      readonly posteriorAlpha: number;
    };

export interface AcceptanceOptions {
  /** Default: `greedy` at temperature 0, `sample` above. */
  readonly rule?: string;
  readonly sampling?: Partial<SamplingParams>;
  /** `typical` only; default 0.09, in (0, 1]. */
  readonly posteriorThreshold?: number;
  /** `typical` only; default 0.3, above 0. */
  readonly posteriorAlpha?: number;
}

/**
 * Checks a rule against its sampling parameters and fills in the defaults of Medusa and Hydra.
 * @throws HydrantError `acceptance/unknown-rule`, `acceptance/conflict` for a rule whose sampling
 *   contradicts it, `acceptance/params`, or `sampling/params`.
 */
export function resolveAcceptance(options: AcceptanceOptions = {}): Acceptance {
  const sampling = samplingParams(options.sampling ?? {});
  const rule = options.rule ?? (sampling.temperature === 0 ? "greedy" : "sample");
  if (!isAcceptanceName(rule)) {
    throw new HydrantError("acceptance/unknown-rule", `There is no acceptance rule "${rule}".`, {
      hint: `Known: ${acceptanceNames.join(", ")}.`,
    });
  }
  const { posteriorThreshold = 0.09, posteriorAlpha = 0.3 } = options;
  switch (rule) {
    case "greedy":
      if (sampling.temperature !== 0) {
        throw conflict(
          `Rule "greedy" with temperature ${sampling.temperature}.`,
          'Set the temperature to 0, or use the rule "sample".',
        );
      }
      return { rule, lossless: true, sampling };
    case "sample":
      return { rule, lossless: true, sampling };
    case "typical": {
      const { topK, topP, minP, repetitionPenalty } = sampling;
      if (topK !== 0 || topP !== 1 || minP !== 0 || repetitionPenalty !== 1) {
        throw conflict(
          'Rule "typical" looks at the unfiltered distribution.',
          "Leave topK, topP, minP and repetitionPenalty off, or use another rule.",
        );
      }
      checkAbove0("posteriorThreshold", posteriorThreshold, 1);
      checkAbove0("posteriorAlpha", posteriorAlpha, Number.MAX_VALUE);
      return { rule, lossless: false, sampling, posteriorThreshold, posteriorAlpha };
    }
    default:
      return rule satisfies never;
  }
}

function isAcceptanceName(text: string): text is AcceptanceName {
  return (acceptanceNames as readonly string[]).includes(text);
}

function conflict(message: string, hint: string): HydrantError {
  return new HydrantError("acceptance/conflict", message, { hint });
}

function checkAbove0(field: string, value: number, most: number): void {
  if (!(value > 0 && value <= most)) {
    throw new HydrantError("acceptance/params", `${field} is ${value}.`, {
      hint: `It must be above 0${most === 1 ? " and at most 1" : ""}.`,
    });
  }
}

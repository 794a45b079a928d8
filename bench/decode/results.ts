import type { Environment } from "./environment.ts";
import type { EngineInfo, Memory } from "./protocol.ts";
import type { Spread } from "./statistics.ts";

/** What `--json` writes. Rates in tokens per second, times in milliseconds, memory in MB. */
export interface Report {
  readonly environment: Environment;
  /** Runnable processes over the last minute, the benchmark's own included. */
  readonly loadAfter: number;
  readonly seconds: number;
  readonly settings: {
    readonly model: string;
    readonly device: string;
    /** Of the reference and the heads. */
    readonly threads: number | "auto";
    readonly prompts: number;
    readonly newTokens: number;
    readonly rounds: number;
    readonly tree: string;
  };
  readonly measured: readonly Measured[];
  readonly stepCosts: readonly StepCosts[];
  /** Every text of ours equals the reference's. */
  readonly exact: boolean;
  /** Plain decoding at its best thread count over the peer at its best, round by round. */
  readonly againstPeers: readonly Comparison[];
}

export interface Comparison {
  readonly ours: string;
  readonly peer: string;
  readonly ratio: Spread;
}

/** `plain` and `speculative` are ours; the peer's are its npm package and its bare loop. */
export type Kind = "plain" | "speculative" | "peer package" | "peer native";

export interface Measured {
  readonly name: string;
  readonly kind: Kind;
  readonly about: EngineInfo;
  readonly loadMs: number;
  readonly tokensPerSecond: Spread;
  /** Of every round. */
  readonly rounds: readonly number[];
  /** Rate over the reference's of the same round. */
  readonly overReference: Spread;
  readonly promptMs: Spread;
  readonly tokensPerStep: number;
  readonly stepMs: number;
  readonly memory: Memory;
  /** Of each text compared: where it first differs from the reference, or null. */
  readonly differences: readonly (number | null)[];
}

export interface StepCosts {
  readonly heads: string;
  /** Rows of the base model's forward pass, root included, and milliseconds of the whole step. */
  readonly steps: readonly { readonly rows: number; readonly ms: Spread }[];
}

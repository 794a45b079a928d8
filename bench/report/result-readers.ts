import type { TreePath } from "../../src/speculation/tree.ts";
import type { Environment } from "../decode/environment.ts";
import type { Comparison, Measured, Report, StepCosts } from "../decode/results.ts";
import type { Spread } from "../decode/statistics.ts";
import type { Figure as CheckFigure } from "../gpu-check/part.ts";
import type { PartReport, Results } from "../gpu-check/results.ts";
import type {
  AcceptanceCheck,
  CategoryResults,
  MeasuredAcceptance,
  MethodResults,
  PromptsResults,
  SweepPoint,
} from "../prompts/results.ts";
import {
  type BenchDevice,
  type BenchEntry,
  type BenchResults,
  benchSuites,
  type Check,
  type Figure,
} from "../suite/results.ts";
import {
  BadField,
  boolean,
  list,
  number,
  numberOrNull,
  numberOrText,
  object,
  oneOf,
  optional,
  type Reader,
  record,
  string,
} from "./read-json.ts";

/* One reader for every type that a results file is made of. */

const spread = object<Spread>({ median: number, min: number, max: number });

const environment = object<Environment>({
  date: string,
  commit: string,
  node: string,
  system: string,
  cpu: string,
  cores: number,
  memoryGB: number,
  loadBefore: number,
});

const settled = object<Extract<Check, { against: string }>>({
  status: oneOf("passed", "failed"),
  against: string,
  error: number,
  tolerance: number,
  message: optional(string),
});
const skipped = object<Extract<Check, { reason: string }>>({
  status: oneOf("skipped"),
  reason: string,
});
const check: Reader<Check> = (value, at) =>
  typeof value === "object" && value !== null && "reason" in value
    ? skipped(value, at)
    : settled(value, at);

const entry = object<BenchEntry>({
  id: string,
  suite: oneOf(...benchSuites),
  family: string,
  name: string,
  shape: string,
  device: string,
  rows: number,
  figures: record(
    object<Figure>({
      median: number,
      min: number,
      max: number,
      unit: string,
      count: number,
      better: oneOf("lower", "higher", "same"),
    }),
  ),
  check,
  notes: record(numberOrText),
});

const category = object<CategoryResults>({
  category: string,
  turns: number,
  steps: number,
  newTokens: number,
  tokensPerStep: number,
  tokensPerSecond: spread,
  speedup: spread,
});

const someTurns = object<AcceptanceCheck["sameSteps"]>({ turns: number, of: number });
const path: Reader<TreePath> = list(number);

const prompts = object<PromptsResults>({
  file: string,
  model: string,
  device: string,
  prompts: number,
  turns: number,
  newTokens: number,
  rounds: number,
  longPrompts: object<PromptsResults["longPrompts"]>({
    rule: oneOf("truncate", "skip"),
    turns: number,
  }),
  sampling: string,
  methods: list(
    object<MethodResults>({
      name: string,
      method: string,
      tree: string,
      nodes: number,
      overall: category,
      categories: list(category),
      same: object<MethodResults["same"]>({ texts: number, of: number }),
      acceptance: optional(
        object<MeasuredAcceptance>({
          table: list(list(number)),
          trials: list(number),
          survival: list(number),
          check: object<AcceptanceCheck>({
            expected: number,
            replayed: number,
            sameSteps: someTurns,
          }),
        }),
      ),
      sweep: optional(
        list(
          object<SweepPoint>({
            nodes: number,
            paths: list(path),
            expected: number,
            stepMs: optional(spread),
            tokensPerStep: optional(number),
            sameSteps: optional(someTurns),
          }),
        ),
      ),
    }),
  ),
});

export const readBenchResults: Reader<BenchResults> = object<BenchResults>({
  format: (value, at) => {
    if (value === "hydrant bench 1") return value;
    throw new BadField(
      `Field ${at} must be "hydrant bench 1", which this version reads; it is ${JSON.stringify(value)}.`,
    );
  },
  command: string,
  environment,
  devices: list(
    object<BenchDevice>({
      name: string,
      details: string,
      copyBandwidth: optional(number),
      matrixRate: optional(number),
    }),
  ),
  loadAfter: number,
  seconds: number,
  entries: list(entry),
  prompts: optional(prompts),
});

export const readDecodeReport: Reader<Report> = object<Report>({
  environment,
  loadAfter: number,
  seconds: number,
  settings: object<Report["settings"]>({
    model: string,
    device: string,
    threads: (value, at) => (value === "auto" ? value : number(value, at)),
    prompts: number,
    newTokens: number,
    rounds: number,
    tree: string,
  }),
  measured: list(
    object<Measured>({
      name: string,
      kind: oneOf("plain", "speculative", "peer package", "peer native"),
      about: object<Measured["about"]>({ engine: string, details: string }),
      loadMs: number,
      tokensPerSecond: spread,
      rounds: list(number),
      overReference: spread,
      promptMs: spread,
      tokensPerStep: number,
      stepMs: number,
      memory: object<Measured["memory"]>({ beforeLoad: number, peak: number }),
      differences: list(numberOrNull),
    }),
  ),
  stepCosts: list(
    object<StepCosts>({
      heads: string,
      steps: list(object<StepCosts["steps"][number]>({ rows: number, ms: spread })),
    }),
  ),
  exact: boolean,
  againstPeers: list(object<Comparison>({ ours: string, peer: string, ratio: spread })),
});

const failure = object<PartReport["failed"][number]>({ name: string, message: string });
const skip = object<PartReport["skipped"][number]>({ name: string, reason: string });

export const readCheckResults: Reader<Results> = object<Results>({
  device: string,
  environment,
  parts: record(
    object<PartReport>({
      status: oneOf("passed", "failed", "crashed", "timed out", "no time"),
      seconds: number,
      passed: number,
      failed: list(failure),
      skipped: list(skip),
      figures: record(
        object<CheckFigure>({
          median: number,
          min: number,
          max: number,
          unit: string,
          count: number,
        }),
      ),
      notes: record(numberOrText),
      output: optional(string) as Reader<string>,
      profile: optional(record(number)) as Reader<Readonly<Record<string, number>>>,
    }),
  ),
});

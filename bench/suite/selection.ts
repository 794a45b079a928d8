import { HydrantError } from "../../src/util/errors.ts";
import { type BenchSuite, benchSuites } from "./results.ts";
import type { EntryKey } from "./job.ts";

/** Words people use for what is called something else here. */
const aliases: Readonly<Record<string, string>> = {
  gemm: "linear",
  gemv: "linear",
  matmul: "linear",
  attn: "attention",
  norm: "rms-norm",
  rms_norm: "rms-norm",
  rmsnorm: "rms-norm",
  commit: "cache",
  "hydra-plus-plus": "hydra++",
};

/**
 * The entries a filter is about: those whose id has one of its comma-separated words. A word with
 * slashes or spaces is taken as it is; case does not matter.
 */
export function filterKeys(keys: readonly EntryKey[], filter: string | undefined): EntryKey[] {
  if (filter === undefined) return [...keys];
  const words = filter
    .toLowerCase()
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  return keys.filter(({ id, family }) =>
    words.some((word) => {
      const alias = aliases[word];
      if (alias !== undefined && family === alias) return true;
      return id.toLowerCase().includes(word.replaceAll(" ", "_"));
    }),
  );
}

/** @throws HydrantError `bench/suite` */
export function suitesNamed(names: readonly string[]): readonly BenchSuite[] {
  return names.map((name) => {
    const suite = benchSuites.find((one) => one === name);
    if (suite !== undefined) return suite;
    throw new HydrantError("bench/suite", `There is no suite "${name}".`, {
      hint: `There are ${benchSuites.join(", ")}.`,
    });
  });
}

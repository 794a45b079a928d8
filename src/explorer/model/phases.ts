import type { ProgramOutline } from "../../inspection/stored-page.ts";
import { type Work, workOf } from "./step.ts";

/** The parts of a step, in order; a prefill is all `verify` and `absorb`. */
export const phases = ["draft", "verify", "accept", "commit", "absorb", "publish"] as const;
export type Phase = (typeof phases)[number];

export const isPhase = (name: string): name is Phase => phases.some((phase) => phase === name);

export const phaseMeanings: Readonly<Record<Phase, string>> = {
  draft: "The heads guess the tree's tokens",
  verify: "The base model runs over all nodes",
  accept: "A walk from the root takes what the base model agrees with",
  commit: "Accepted rows of the caches move together",
  absorb: "The heads take in what was committed",
  publish: "Results go to where the host sees them",
};

/** The phase of every launch, told by the labels of its nodes. */
export function phasesOf({
  launches,
  kernels,
}: Pick<ProgramOutline, "launches" | "kernels">): readonly Phase[] {
  const families = launches.map(({ kernel }) => kernels[kernel]?.family);
  const firstLayer = launches.findIndex(({ label }) => /\blayers\.0\./.test(label));
  let lastDraft = -1;
  for (let index = 0; index < firstLayer; index++)
    if (launches[index]?.label.startsWith("draft.") === true) lastDraft = index;
  const isCommit = (index: number) =>
    families[index] === "cache" && launches[index]?.label.startsWith("commit") === true;
  let committed = false;
  return launches.map((_, index): Phase => {
    if (families[index] === "finish") return "publish";
    if (index <= lastDraft) return "draft";
    if (families[index] === "accept") {
      committed = true;
      return "accept";
    }
    if (isCommit(index)) return "commit";
    return committed ? "absorb" : "verify";
  });
}

/** What each phase does that has launches. */
export function phaseWork(program: ProgramOutline): readonly (Work & { phase: Phase })[] {
  const all = phasesOf(program);
  return phases
    .map((phase) => ({
      phase,
      ...workOf(program.launches.filter((_, index) => all[index] === phase)),
    }))
    .filter(({ launches }) => launches > 0);
}

import { Text } from "@mantine/core";
import type { RecordedGeneration } from "../../inspection/recorded-generation.ts";
import classes from "./generation.module.css";
import { formatMs } from "./format-ms.ts";
import { stepEnd } from "./statistics.ts";
import { tokenLabel } from "./visible-text.ts";

/** What happened in a step, in a sentence. */
export function StepFacts({
  generation,
  step,
}: {
  readonly generation: RecordedGeneration;
  readonly step: number;
}) {
  const recorded = generation.steps[step];
  if (recorded === undefined) return null;
  const { path, ms, given } = recorded;
  const tree = generation.trees[recorded.tree];
  const next = generation.steps[step + 1]?.tokens[0];
  const wanted = next === undefined ? undefined : <Token label={tokenLabel(generation, next)} />;
  const end = stepEnd(generation, recorded);
  return (
    <Text size="sm" component="p" className={classes.facts} data-testid="step-facts">
      <b>
        {path.length} {path.length === 1 ? "token" : "tokens"}
      </b>{" "}
      in <b>{formatMs(ms)}</b> with {tree?.name === "none" ? "no tree" : <>tree {tree?.name}</>}.{" "}
      {end === "none" && <>A plain step: no drafts.{wanted && <> Next comes {wanted}.</>}</>}
      {end === "rejected" && (
        <>
          {path.length === 1
            ? "No draft was taken"
            : `Drafts were taken down to depth ${path.length - 1}`}
          {wanted ? <>; then the model wanted {wanted}, which was not among them.</> : "."}
        </>
      )}
      {end === "exhausted" && (
        <>
          Every draft on the way was taken, down to a leaf at depth {path.length - 1}
          {wanted ? <>; {wanted} comes on top.</> : "."}
        </>
      )}
      {given < path.length && (
        <>
          {" "}
          The text ends inside the step: {given} of {path.length} tokens were given out.
        </>
      )}
    </Text>
  );
}

const Token = ({ label }: { readonly label: string }) => (
  <code className={classes.inlineToken}>{label}</code>
);

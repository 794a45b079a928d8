import { Text } from "@mantine/core";
import { useEffect, useMemo } from "react";
import type { RecordedGeneration } from "../../inspection/recorded-generation.ts";
import { setParams, usePlace } from "../app/place.ts";
import { Panel, ViewHead } from "../common/Panel.tsx";
import { Stats } from "../common/Stats.tsx";
import { formatMs } from "./format-ms.ts";
import { GeneratedText } from "./GeneratedText.tsx";
import classes from "./generation.module.css";
import { PlayerBar } from "./PlayerBar.tsx";
import { StatisticsPanel } from "./StatisticsPanel.tsx";
import { StepFacts } from "./StepFacts.tsx";
import { StepTree } from "./StepTree.tsx";
import { type GenerationStatistics, generationStatistics } from "./statistics.ts";
import { usePlayer } from "./use-player.ts";

/** A recorded generation, replayed: its text as it grew, each step's draft tree, and the figures. */
export function GenerationView({ generation }: { readonly generation: RecordedGeneration }) {
  const statistics = useMemo(() => generationStatistics(generation), [generation]);
  const durations = useMemo(() => generation.steps.map(({ ms }) => ms), [generation]);
  const place = usePlace();
  const asked = Number(place.params.get("step") ?? generation.steps.length);
  const player = usePlayer(durations, Number.isFinite(asked) ? asked - 1 : durations.length - 1);
  const { step, playing } = player;
  useEffect(() => {
    if (playing) return;
    // Not at every stop of a drag: browsers limit how often the address may change.
    const timer = setTimeout(() => setParams({ step: `${step + 1}` }), 300);
    return () => clearTimeout(timer);
  }, [step, playing]);

  if (generation.steps.length === 0)
    return <Text>Nothing was generated: the prompt fills the context.</Text>;
  const drafting = statistics.depths.length > 0;
  return (
    <div className={classes.view}>
      <ViewHead title="Generation" about={about(generation)} />
      <Stats stats={statsOf(generation, statistics)} />
      <PlayerBar generation={generation} player={player} />
      <div className={classes.replay} data-plain={!drafting || undefined}>
        <Panel
          title="Text"
          note={
            drafting && (
              <span className={classes.legend}>
                <i data-kind="root" /> the model's own
                <i data-kind="accepted" /> drafted and accepted
              </span>
            )
          }
        >
          {!drafting && <StepFacts generation={generation} step={step} />}
          <GeneratedText generation={generation} step={step} onSeek={player.seek} />
        </Panel>
        {drafting && (
          <Panel
            title={`Draft tree of step ${step + 1}`}
            note={
              <span className={classes.legend}>
                <i data-kind="accepted" /> accepted
                <i data-kind="rejected" /> rejected
                <i data-kind="correction" /> wanted instead
                <i data-kind="bonus" /> on top
              </span>
            }
          >
            <StepFacts generation={generation} step={step} />
            <StepTree generation={generation} step={step} />
          </Panel>
        )}
      </div>
      <StatisticsPanel generation={generation} statistics={statistics} onSeek={player.seek} />
    </div>
  );
}

function about({
  model,
  heads,
  method,
  device,
  sampling,
  finishReason,
}: RecordedGeneration): string {
  const settings = sampling.map(({ name, value }) => `${name} ${value}`).join(", ");
  return [
    `${model}${heads === undefined ? "" : ` with ${heads}`}`,
    method,
    device,
    settings === "" ? "greedy" : settings,
    `ended: ${finishReason}`,
  ].join(" · ");
}

function statsOf(generation: RecordedGeneration, statistics: GenerationStatistics) {
  const { prefillMs, decodeMs, promptTokens, reusedTokens } = generation;
  const { given, steps, committed } = statistics;
  return [
    { name: "tokens", value: `${given}` },
    { name: "steps", value: `${steps}` },
    { name: "tokens per step", value: (committed / steps).toFixed(2) },
    { name: "tokens/s", value: ((1000 * given) / decodeMs).toFixed(1) },
    {
      name: reusedTokens > 0 ? `prompt tokens (${reusedTokens} reused)` : "prompt tokens",
      value: `${promptTokens}`,
    },
    { name: "prefill", value: formatMs(prefillMs) },
    { name: "decoding", value: formatMs(decodeMs) },
  ];
}

import { Modal, Table, Text, UnstyledButton } from "@mantine/core";
import { memo, useMemo, useState } from "react";
import type { RecordedGeneration } from "../../inspection/recorded-generation.ts";
import { Dot, StackedBar } from "../common/Bars.tsx";
import { Chart } from "../common/Chart.tsx";
import { usePalette } from "../common/colors.ts";
import { formatPercent } from "../common/format.ts";
import { Panel } from "../common/Panel.tsx";
import { TreeView } from "../tree/TreeView.tsx";
import { depthOption, lengthOption, stepTimeOption } from "./chart-options.ts";
import { formatMs } from "./format-ms.ts";
import classes from "./generation.module.css";
import { RankTable } from "./RankTable.tsx";
import type { GenerationStatistics, TimeShares } from "./statistics.ts";

/** Figures over all steps. */
export const StatisticsPanel = memo(function StatisticsPanel({
  generation,
  statistics,
  onSeek,
}: {
  readonly generation: RecordedGeneration;
  readonly statistics: GenerationStatistics;
  readonly onSeek: (step: number) => void;
}) {
  const palette = usePalette();
  const lengths = useMemo(() => lengthOption(statistics, palette), [statistics, palette]);
  const depths = useMemo(() => depthOption(statistics, palette), [statistics, palette]);
  const times = useMemo(() => stepTimeOption(generation, palette), [generation, palette]);
  const pickStep = useMemo(() => {
    const bySeries = generation.trees.map((_, tree) =>
      [...generation.steps.keys()].filter((step) => generation.steps[step]?.tree === tree),
    );
    return (series: number, datum: number) => {
      const step = bySeries[series]?.[datum];
      if (step !== undefined) onSeek(step);
    };
  }, [generation, onSeek]);
  const drafts = statistics.depths.length > 0;
  return (
    <div className={classes.statistics} data-plain={!drafts || undefined}>
      {drafts && (
        <Panel title="Tokens per step" note="and why the step committed no more">
          <Chart option={lengths} height={220} label="Steps by the tokens they committed" />
        </Panel>
      )}
      {drafts && (
        <Panel
          title="Where drafts die"
          note="of the steps that had drafts at a depth, those that took one"
        >
          <Chart option={depths} height={220} label="Share of accepted drafts by depth" />
        </Panel>
      )}
      {drafts && (
        <Panel
          title="Accepted by rank"
          note="% of the steps that offered a draft of this rank there"
        >
          <RankTable statistics={statistics} />
        </Panel>
      )}
      <Panel title="Where the time goes">
        <TimeBar time={statistics.time} />
        <TreesTable generation={generation} statistics={statistics} />
      </Panel>
      <Panel title="Time of each step" note="click a point to see the step">
        <Chart option={times} height={240} label="Time of each step" onPick={pickStep} />
      </Panel>
    </div>
  );
});

function TimeBar({ time }: { readonly time: TimeShares }) {
  const palette = usePalette();
  const total = time.prefill + time.steps + time.rest;
  const parts = [
    { name: "prefill", value: time.prefill, color: palette.nth(0) },
    { name: "steps on the device", value: time.steps, color: palette.accent },
    { name: "rest", value: time.rest, color: palette.dimmed },
  ].map((part) => ({ ...part, text: formatMs(part.value) }));
  return (
    <>
      <StackedBar parts={parts} label="Time" />
      <div className={classes.timeParts}>
        {parts.map(({ name, value, text, color }) => (
          <div key={name}>
            <Dot color={color} /> {name} <b>{text}</b>{" "}
            <span>{total === 0 ? "" : formatPercent(value / total)}</span>
          </div>
        ))}
      </div>
    </>
  );
}

/** What was played how often; a tree's name shows it drawn. */
function TreesTable({
  generation,
  statistics,
}: {
  readonly generation: RecordedGeneration;
  readonly statistics: GenerationStatistics;
}) {
  const [shown, setShown] = useState<number>();
  const tree = shown === undefined ? undefined : generation.trees[shown];
  const uses = [...statistics.trees].sort((a, b) => b.steps - a.steps);
  return (
    <>
      <Table className={classes.trees} aria-label="Trees that were used">
        <Table.Thead>
          <Table.Tr>
            {["tree", "nodes", "steps", "tokens/step", "ms/step", "tokens/s"].map((name) => (
              <Table.Th key={name}>{name}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {uses.map((use) => (
            <Table.Tr key={use.tree}>
              <Table.Td>
                {use.nodes === 1 ? (
                  "none"
                ) : (
                  <UnstyledButton
                    className={classes.treeName}
                    onClick={() => setShown(use.tree)}
                    aria-label={`Show tree ${use.name}`}
                  >
                    {use.name}
                  </UnstyledButton>
                )}
              </Table.Td>
              <Table.Td>{use.nodes}</Table.Td>
              <Table.Td>{use.steps}</Table.Td>
              <Table.Td>{(use.tokens / use.steps).toFixed(2)}</Table.Td>
              <Table.Td>{(use.ms / use.steps).toPrecision(3)}</Table.Td>
              <Table.Td>{use.ms === 0 ? "–" : ((1000 * use.tokens) / use.ms).toFixed(0)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Modal
        opened={tree !== undefined}
        onClose={() => setShown(undefined)}
        size="auto"
        title={<Text fw={600}>Tree {tree?.name}</Text>}
      >
        {tree !== undefined && (
          <div className={classes.treeModal}>
            <TreeView tree={tree} />
          </div>
        )}
      </Modal>
    </>
  );
}

import { SegmentedControl, SimpleGrid, Stack } from "@mantine/core";
import { useCallback, useMemo, useState } from "react";
import type { InspectedLaunch } from "../../../inspection/inspection.ts";
import { go, hrefOf } from "../../app/place.ts";
import { ShareBar } from "../../common/Bars.tsx";
import { Chart } from "../../common/Chart.tsx";
import { usePalette } from "../../common/colors.ts";
import common from "../../common/common.module.css";
import { formatBytes, formatMicroseconds, formatPercent } from "../../common/format.ts";
import { Family, KernelLink } from "../../common/KernelLink.tsx";
import { Panel, ViewHead } from "../../common/Panel.tsx";
import { type Column, SortableTable } from "../../common/SortableTable.tsx";
import { useProgram } from "../../data/page-context.ts";
import { bytesOf, familyWork, withMeasured } from "../../model/step.ts";
import { timelineOf } from "../../model/timeline.ts";
import { PhasesPanel } from "../overview/PhasesPanel.tsx";
import { timelineOption } from "./timeline-option.ts";

/** The launches of a step on a time axis. */
export function TimelineView() {
  const program = useProgram();
  const palette = usePalette();
  const hasMeasured = program.launches.some((launch) => launch.measured !== undefined);
  const [measured, setMeasured] = useState(hasMeasured);
  const timeline = useMemo(() => timelineOf(program, measured), [program, measured]);
  const option = useMemo(
    () => timelineOption(timeline, program, palette),
    [timeline, program, palette],
  );
  const pick = useCallback(
    (_: number, datum: number) => {
      const launch = program.launches[timeline.bars[datum]?.launch ?? -1];
      const kernel = program.kernels[launch?.kernel ?? -1];
      if (kernel !== undefined) go("kernels", kernel.entry);
    },
    [program, timeline],
  );
  return (
    <Stack gap="md">
      <ViewHead
        title="Timeline"
        about={
          measured
            ? `Measured: ${program.measured}. Launches that were not measured have their modelled time.`
            : "Launches one after the other, each with the least time its bytes and operations allow, or the gap between launches. Ctrl and the wheel, or + and −, zoom; drag or arrow keys move."
        }
      >
        {hasMeasured && (
          <SegmentedControl
            value={measured ? "measured" : "modelled"}
            onChange={(value) => setMeasured(value === "measured")}
            data={["modelled", "measured"]}
            aria-label="Which times"
          />
        )}
      </ViewHead>
      <Panel>
        <Chart
          option={option}
          height={timeline.lanes.length * 30 + 96}
          label={`Timeline of ${program.launches.length} launches, ${formatMicroseconds(timeline.length)}; the tables below have the same figures`}
          onPick={pick}
        />
      </Panel>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <FamiliesPanel measured={measured} />
        <PhasesPanel measured={measured} />
      </SimpleGrid>
      <LaunchesPanel />
    </Stack>
  );
}

function FamiliesPanel({ measured }: { readonly measured: boolean }) {
  const program = useProgram();
  const palette = usePalette();
  const families = useMemo(
    () => familyWork(measured ? withMeasured(program) : program),
    [program, measured],
  );
  const total = families.reduce((sum, { time }) => sum + time, 0);
  return (
    <Panel title="By family">
      <table className={common.table}>
        <thead>
          <tr>
            <th>Family</th>
            <th data-number>Launches</th>
            <th data-number>Bytes</th>
            <th data-number>Time</th>
            <th data-number>Share</th>
            <td style={{ width: "25%" }} />
          </tr>
        </thead>
        <tbody>
          {families.map(({ family, launches, bytes, time }) => (
            <tr key={family}>
              <td>
                <Family family={family} />
              </td>
              <td data-number>{launches}</td>
              <td data-number>{formatBytes(bytes)}</td>
              <td data-number>{formatMicroseconds(time)}</td>
              <td data-number>{formatPercent(time / total)}</td>
              <td>
                <ShareBar share={time / total} color={palette.family(family)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

interface LaunchRow extends InspectedLaunch {
  readonly index: number;
  readonly entry: string;
}

const launchColumns: readonly Column<LaunchRow>[] = [
  {
    name: "#",
    cell: ({ index, group }) => (
      <a
        className={common.link}
        href={hrefOf("graph", undefined, {
          group: group?.toString(),
          launch: group === undefined ? `${index}` : undefined,
        })}
      >
        {index}
      </a>
    ),
    sortBy: ({ index }) => -index,
  },
  { name: "Computes", cell: ({ label }) => label, sortBy: ({ label }) => label, wide: true },
  {
    name: "Kernel",
    cell: ({ entry }) => <KernelLink entry={entry} />,
    sortBy: ({ entry }) => entry,
  },
  {
    name: "Bytes",
    cell: (launch) => formatBytes(bytesOf(launch)),
    sortBy: bytesOf,
  },
  {
    name: "Modelled",
    cell: ({ modelled }) => formatMicroseconds(modelled),
    sortBy: ({ modelled }) => modelled,
  },
  {
    name: "Measured",
    cell: ({ measured }) => (measured === undefined ? "–" : formatMicroseconds(measured)),
    sortBy: ({ measured }) => measured ?? -1,
  },
];

function LaunchesPanel() {
  const program = useProgram();
  const rows = useMemo(
    () =>
      program.launches.map((launch, index) => ({
        ...launch,
        index,
        entry: program.kernels[launch.kernel]?.entry ?? "",
      })),
    [program],
  );
  const measured = rows.some((row) => row.measured !== undefined);
  return (
    <Panel title="Every launch">
      <SortableTable
        columns={measured ? launchColumns : launchColumns.slice(0, -1)}
        rows={rows}
        keyOf={({ index }) => index}
        label="Launches"
        limit={40}
      />
    </Panel>
  );
}

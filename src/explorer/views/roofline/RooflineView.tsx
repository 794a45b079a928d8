import { Stack } from "@mantine/core";
import { useCallback, useMemo } from "react";
import { go } from "../../app/place.ts";
import { Chart } from "../../common/Chart.tsx";
import { usePalette } from "../../common/colors.ts";
import { formatBytes, formatMicroseconds, formatPercent, formatRate } from "../../common/format.ts";
import { Family, KernelLink } from "../../common/KernelLink.tsx";
import { Panel, ViewHead } from "../../common/Panel.tsx";
import { type Column, SortableTable } from "../../common/SortableTable.tsx";
import { useProgram } from "../../data/page-context.ts";
import { type RooflinePoint, rooflinePoints } from "../../model/roofline.ts";
import { kernelWork } from "../../model/step.ts";
import { rooflineOption } from "./roofline-option.ts";

/** How near the kernels come to what memory and arithmetic allow. */
export function RooflineView() {
  const program = useProgram();
  const palette = usePalette();
  const { gpu } = program;
  // The largest first, so that small ones are drawn over them.
  const points = useMemo(
    () => rooflinePoints(kernelWork(program), gpu).toSorted((a, b) => b.work.time - a.work.time),
    [program, gpu],
  );
  const option = useMemo(() => rooflineOption(points, gpu, palette), [points, gpu, palette]);
  const pick = useCallback(
    (series: number, datum: number) => {
      const point = series === 0 ? points[datum] : undefined;
      if (point !== undefined) go("kernels", point.work.kernel.entry);
    },
    [points],
  );
  const measured = points.some((point) => point.measured);
  return (
    <Stack gap="md">
      <ViewHead
        title="Roofline"
        about={
          measured
            ? `Operations a second against operations a byte, measured; the roof is what ${gpu.name} is published with. A point's area is the kernel's share of the step.`
            : `Operations a second against operations a byte. Times are modelled, so a kernel stands on the roof of ${gpu.name} unless the gap between launches holds it down. A point's area is its share of the step.`
        }
      />
      <Panel>
        <Chart
          option={option}
          height={430}
          label={`Roofline of ${points.length} kernels; the table below has the same figures`}
          onPick={pick}
        />
      </Panel>
      <Panel title="Kernels under the roof">
        <SortableTable
          columns={columns}
          rows={points}
          keyOf={({ work }) => work.index}
          label="Kernels under the roof"
        />
      </Panel>
    </Stack>
  );
}

const columns: readonly Column<RooflinePoint>[] = [
  {
    name: "Kernel",
    cell: ({ work }) => <KernelLink entry={work.kernel.entry} />,
    sortBy: ({ work }) => work.kernel.entry,
    wide: true,
  },
  {
    name: "Family",
    cell: ({ work }) => <Family family={work.kernel.family} />,
    sortBy: ({ work }) => work.kernel.family,
  },
  {
    name: "FLOP/B",
    cell: ({ intensity }) => intensity.toPrecision(3),
    sortBy: ({ intensity }) => intensity,
  },
  { name: "Rate", cell: ({ rate }) => formatRate(rate, "FLOP/s"), sortBy: ({ rate }) => rate },
  {
    name: "Bytes",
    cell: ({ work }) => formatBytes(work.bytes),
    sortBy: ({ work }) => work.bytes,
  },
  {
    name: "Time",
    cell: ({ work }) => formatMicroseconds(work.measured ?? work.time),
    sortBy: ({ work }) => work.measured ?? work.time,
  },
  {
    name: "Of the roof",
    cell: ({ ofRoof }) => formatPercent(ofRoof),
    sortBy: ({ ofRoof }) => ofRoof,
  },
];

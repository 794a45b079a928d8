import { Alert, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";
import { Dot, ShareBar } from "../../common/Bars.tsx";
import { usePalette } from "../../common/colors.ts";
import {
  formatBytes,
  formatKibibytes,
  formatMicroseconds,
  formatPercent,
} from "../../common/format.ts";
import { KernelLink } from "../../common/KernelLink.tsx";
import { Panel, ViewHead } from "../../common/Panel.tsx";
import { type Column, SortableTable } from "../../common/SortableTable.tsx";
import { useProgram } from "../../data/page-context.ts";
import { purposeOf } from "../../model/names.ts";
import { type KernelWork, kernelWork } from "../../model/step.ts";
import classes from "./kernels.module.css";

type Row = KernelWork & { readonly purpose: string };

/** Every kernel with what it costs, filtered and sorted as the reader likes. */
export function KernelList({ unknown }: { readonly unknown: string | undefined }) {
  const program = useProgram();
  const palette = usePalette();
  const [filter, setFilter] = useState(unknown ?? "");
  const rows = useMemo(
    () => kernelWork(program).map((work) => ({ ...work, purpose: purposeOf(program, work.index) })),
    [program],
  );
  const total = rows.reduce((sum, { time }) => sum + time, 0);
  const columns = useMemo(() => columnsOf(palette, total, rows), [palette, total, rows]);
  const wanted = filter.toLowerCase();
  const shown = rows.filter(({ kernel, purpose }) =>
    `${kernel.entry} ${kernel.family} ${purpose}`.toLowerCase().includes(wanted),
  );
  return (
    <>
      <ViewHead
        title="Kernels"
        about="Each is compiled once and launched for every layer or head that needs it. Times are modelled unless they were measured."
      >
        <TextInput
          placeholder="Filter by name, family, node"
          aria-label="Filter kernels"
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
          w={260}
        />
      </ViewHead>
      {unknown !== undefined && (
        <Alert color="orange" mb="md">
          No kernel is called {unknown}.
        </Alert>
      )}
      <Panel>
        <SortableTable
          columns={columns}
          rows={shown}
          keyOf={({ index }) => index}
          label="Kernels"
          sorted={1}
        />
        {shown.length === 0 && <p>No kernel has that in its name.</p>}
      </Panel>
    </>
  );
}

function columnsOf(
  palette: ReturnType<typeof usePalette>,
  total: number,
  rows: readonly Row[],
): readonly Column<Row>[] {
  const most = Math.max(...rows.map(({ time }) => time));
  const measured = rows.some((row) => row.measured !== undefined);
  const compiled = rows.some(({ kernel }) => kernel.compiled !== undefined);
  const never = -1;
  return [
    {
      name: "Kernel",
      cell: ({ kernel, purpose }) => (
        <div className={classes.name}>
          <span title={kernel.family}>
            <Dot color={palette.family(kernel.family)} />
            <KernelLink entry={kernel.entry} />
          </span>
          <small title={purpose}>{purpose}</small>
        </div>
      ),
      sortBy: ({ kernel }) => kernel.entry,
      wide: true,
    },
    {
      name: "Time",
      cell: ({ time, kernel }) => (
        <div className={classes.time}>
          {formatMicroseconds(time)}
          <ShareBar share={time / most} color={palette.family(kernel.family)} />
        </div>
      ),
      sortBy: ({ time }) => time,
    },
    {
      name: "Share",
      cell: ({ time }) => formatPercent(time / total),
      sortBy: ({ time }) => time / total,
    },
    ...(measured
      ? [
          {
            name: "Measured",
            cell: (row: Row) =>
              row.measured === undefined ? "–" : formatMicroseconds(row.measured),
            sortBy: (row: Row) => row.measured ?? never,
          },
        ]
      : []),
    { name: "Launches", cell: ({ launches }) => launches, sortBy: ({ launches }) => launches },
    { name: "Bytes", cell: ({ bytes }) => formatBytes(bytes), sortBy: ({ bytes }) => bytes },
    {
      name: "FLOP/B",
      cell: ({ flops, bytes }) => (bytes === 0 ? "–" : (flops / bytes).toPrecision(3)),
      sortBy: ({ flops, bytes }) => (bytes === 0 ? 0 : flops / bytes),
    },
    ...(compiled
      ? [
          {
            name: "Registers",
            cell: ({ kernel }: Row) => (
              <>
                {kernel.compiled?.registers ?? "–"}
                {(kernel.compiled?.spillBytes ?? 0) > 0 && (
                  <span className={classes.bad}> spills</span>
                )}
              </>
            ),
            sortBy: ({ kernel }: Row) => kernel.compiled?.registers ?? never,
          },
        ]
      : []),
    {
      name: "Shared",
      cell: ({ kernel }) => formatKibibytes(sharedOf(kernel)),
      sortBy: ({ kernel }) => sharedOf(kernel),
    },
    ...(compiled
      ? [
          {
            name: "Occupancy",
            cell: ({ kernel }: Row) =>
              kernel.compiled === undefined
                ? "–"
                : formatPercent(kernel.compiled.occupancy.fraction),
            sortBy: ({ kernel }: Row) => kernel.compiled?.occupancy.fraction ?? never,
          },
        ]
      : []),
  ];
}

const sharedOf = (kernel: Row["kernel"]): number =>
  kernel.dynamicSharedBytes + (kernel.compiled?.staticSharedBytes ?? 0);

import { SegmentedControl, SimpleGrid, Stack, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";
import { hrefOf, setParams, usePlace } from "../../app/place.ts";
import { Chart } from "../../common/Chart.tsx";
import { usePalette } from "../../common/colors.ts";
import common from "../../common/common.module.css";
import { formatBytes, formatCount, formatPercent } from "../../common/format.ts";
import { FamilyLegend } from "../../common/KernelLink.tsx";
import { Panel, ViewHead } from "../../common/Panel.tsx";
import { type Column, SortableTable } from "../../common/SortableTable.tsx";
import { Stats } from "../../common/Stats.tsx";
import { useProgram } from "../../data/page-context.ts";
import { arenaBlocks, arenaUse } from "../../model/arena.ts";
import { MemoryPanel } from "../overview/MemoryPanel.tsx";
import { arenaOption } from "./arena-option.ts";

/** Where everything is: the arena over time, weights, caches, and every buffer. */
export function MemoryView() {
  const program = useProgram();
  const palette = usePalette();
  const blocks = useMemo(() => arenaBlocks(program), [program]);
  const option = useMemo(() => arenaOption(blocks, program, palette), [blocks, program, palette]);
  const use = useMemo(() => arenaUse(blocks, program.launches.length), [blocks, program]);
  const needed = Math.max(0, ...use);
  const sum = blocks.reduce((total, { buffer }) => total + buffer.bytes, 0);
  const { memory } = program;
  return (
    <Stack gap="md">
      <ViewHead
        title="Memory"
        about="Weights and caches stay where they are. Activations share the arena: a buffer's place is free again after its last reader."
      />
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <MemoryPanel />
        <Panel title="Arena and caches">
          <Stats
            stats={[
              { name: "Size", value: formatBytes(memory.arena) },
              {
                name: "Most in use at once",
                value: formatBytes(needed),
                note: `${formatPercent(memory.arena === 0 ? 1 : needed / memory.arena)} of the arena`,
              },
              {
                name: "Without sharing",
                value: formatBytes(sum),
                note: `${formatCount(blocks.length)} buffers`,
              },
              {
                name: "A token in the caches",
                value: formatBytes(memory.capacity === 0 ? 0 : memory.caches / memory.capacity),
                note: "keys and values of all layers",
              },
              { name: "Slots", value: formatCount(memory.capacity), note: "of context" },
              { name: "Outputs", value: formatBytes(memory.ring), note: "shared with the host" },
            ]}
          />
        </Panel>
      </SimpleGrid>
      <Panel
        title="The arena, launch by launch"
        note={<FamilyLegend families={blocks.map(({ family }) => family)} />}
      >
        <Chart
          option={option}
          height={380}
          label={`Arena of ${formatBytes(memory.arena)} over ${program.launches.length} launches; the table below lists its buffers`}
        />
      </Panel>
      <BuffersPanel />
    </Stack>
  );
}

const kinds = ["all", "parameter", "state", "scratch", "constant", "input", "counter"] as const;

type Row = ReturnType<typeof useProgram>["buffers"][number] & { readonly index: number };

const columns: readonly Column<Row>[] = [
  { name: "Buffer", cell: ({ label }) => label, sortBy: ({ label }) => label, wide: true },
  { name: "Kind", cell: ({ kind }) => kind, sortBy: ({ kind }) => kind },
  { name: "Type", cell: ({ type }) => <code>{type}</code>, sortBy: ({ type }) => type },
  { name: "Bytes", cell: ({ bytes }) => formatBytes(bytes), sortBy: ({ bytes }) => bytes },
  {
    name: "Offset",
    cell: ({ offset }) => (offset === undefined ? "" : formatCount(offset)),
    sortBy: ({ offset }) => offset ?? -1,
  },
  {
    name: "Launches",
    cell: ({ live: [first, last] }) => (
      <>
        <LaunchLink launch={first} />
        {last > first && (
          <>
            –<LaunchLink launch={last} />
          </>
        )}
      </>
    ),
    sortBy: ({ live }) => -live[0],
  },
];

function LaunchLink({ launch }: { readonly launch: number }) {
  const { launches } = useProgram();
  const group = launches[launch]?.group;
  return (
    <a
      className={common.link}
      href={hrefOf("graph", undefined, {
        group: group?.toString(),
        launch: group === undefined ? `${launch}` : undefined,
      })}
    >
      {launch}
    </a>
  );
}

function BuffersPanel() {
  const { buffers } = useProgram();
  const { params } = usePlace();
  const [kind, setKind] = useState<string>("all");
  const find = params.get("find") ?? "";
  const rows = useMemo(() => buffers.map((buffer, index) => ({ ...buffer, index })), [buffers]);
  const shown = rows.filter(
    (row) =>
      (kind === "all" || row.kind === kind) && row.label.toLowerCase().includes(find.toLowerCase()),
  );
  const present = kinds.filter(
    (own) => own === "all" || buffers.some((buffer) => buffer.kind === own),
  );
  return (
    <Panel
      title="Buffers"
      note={`${formatCount(shown.length)}, ${formatBytes(shown.reduce((sum, { bytes }) => sum + bytes, 0))}`}
    >
      <div style={{ display: "flex", gap: 12, marginBottom: 12, flexWrap: "wrap" }}>
        <SegmentedControl
          size="xs"
          value={kind}
          onChange={setKind}
          data={[...present]}
          aria-label="Kind of buffer"
        />
        <TextInput
          size="xs"
          w={320}
          placeholder="Filter by name"
          aria-label="Filter buffers"
          value={find}
          onChange={(event) => setParams({ find: event.currentTarget.value || undefined })}
        />
      </div>
      <SortableTable
        columns={columns}
        rows={shown}
        keyOf={({ index }) => index}
        label="Buffers"
        sorted={3}
        limit={40}
      />
    </Panel>
  );
}

import {
  ActionIcon,
  Alert,
  Badge,
  Code,
  CopyButton,
  Group,
  SimpleGrid,
  Stack,
} from "@mantine/core";
import { useMemo } from "react";
import { Icon } from "../../app/Icon.tsx";
import { hrefOf } from "../../app/place.ts";
import {
  formatBytes,
  formatCount,
  formatFlops,
  formatMicroseconds,
  formatPercent,
  formatRate,
} from "../../common/format.ts";
import { Panel } from "../../common/Panel.tsx";
import { Stats } from "../../common/Stats.tsx";
import { useProgram } from "../../data/page-context.ts";
import { workOf } from "../../model/step.ts";
import { BiggestKernels } from "./BiggestKernels.tsx";
import { MemoryPanel } from "./MemoryPanel.tsx";
import classes from "./overview.module.css";
import { PhasesPanel } from "./PhasesPanel.tsx";

/** What the program is, what a step costs, and where it goes. */
export function OverviewView() {
  const program = useProgram();
  const { launches, kernels, gpu, nvrtc, tree, nodes, memory } = program;
  const work = useMemo(() => workOf(launches), [launches]);
  const total = memory.weights + memory.caches + memory.other + memory.arena + memory.ring;
  const seconds = (work.measured ?? work.time) * 1e-6;
  const bound = work.bytes / gpu.bandwidth / seconds;
  return (
    <Stack gap="md">
      {program.notCompiled !== undefined && (
        <Alert color="orange" title="The kernels were not compiled">
          {program.notCompiled}
        </Alert>
      )}
      <div>
        <h2 className={classes.title}>{program.title}</h2>
        <Group gap={6} mt={8}>
          <Badge variant="light">{`${gpu.arch} · figures of ${gpu.name}`}</Badge>
          <Badge variant="light" color="gray">
            {nvrtc === undefined ? "not compiled" : `NVRTC ${nvrtc}`}
          </Badge>
          {tree !== undefined && (
            <Badge variant="light" color="gray" component="a" href={hrefOf("tree")}>
              {tree.name}
            </Badge>
          )}
          <span className={classes.command}>
            <Code>{program.command}</Code>
            <CopyButton value={program.command}>
              {({ copied, copy }) => (
                <ActionIcon
                  size="sm"
                  variant="subtle"
                  color="gray"
                  onClick={copy}
                  aria-label={copied ? "Copied" : "Copy the command"}
                >
                  <Icon
                    size={14}
                    path={copied ? "M5 12l5 5L19 7" : "M9 9h11v11H9zM5 15H4V4h11v1"}
                  />
                </ActionIcon>
              )}
            </CopyButton>
          </span>
        </Group>
      </div>
      <Panel>
        <Stats
          stats={[
            {
              name: work.measured === undefined ? "Modelled step" : "Measured step",
              value: formatMicroseconds(work.measured ?? work.time),
              note:
                work.measured === undefined
                  ? "a lower bound"
                  : `${formatMicroseconds(work.time)} modelled`,
            },
            {
              name: "Weights read",
              value: formatBytes(work.weightBytes),
              note: `at ${formatRate(gpu.bandwidth, "B/s")}`,
            },
            {
              name: "Other bytes",
              value: formatBytes(work.bytes - work.weightBytes),
              note: "with full caches",
            },
            {
              name: "Work",
              value: formatFlops(work.flops),
              note: `${formatPercent(work.flops / gpu.matrixRate / seconds)} of the peak`,
            },
            {
              name: "Memory bound",
              value: formatPercent(Math.min(1, bound)),
              note: "of the step's time",
            },
            {
              name: "Launches",
              value: formatCount(launches.length),
              note: `of ${formatCount(nodes.length)} nodes`,
            },
            { name: "Kernels", value: formatCount(kernels.length), note: spillNote(program) },
            {
              name: "Device memory",
              value: formatBytes(total),
              note: `${formatCount(memory.capacity)} slots of context`,
            },
          ]}
        />
      </Panel>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <Stack gap="md">
          <PhasesPanel measured={work.measured !== undefined} />
          <MemoryPanel linked />
        </Stack>
        <Stack gap="md">
          <BiggestKernels measured={work.measured !== undefined} />
          <Panel title="Model">
            <dl className={classes.settings}>
              {program.model.map(({ name, value }) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
          </Panel>
        </Stack>
      </SimpleGrid>
    </Stack>
  );
}

function spillNote({ kernels }: ReturnType<typeof useProgram>): string {
  const compiled = kernels.flatMap((kernel) => kernel.compiled ?? []);
  if (compiled.length === 0) return "not compiled";
  const spilling = compiled.filter(({ spillBytes }) => spillBytes > 0).length;
  return spilling === 0 ? "none spills" : `${spilling} spill registers`;
}

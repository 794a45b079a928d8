import { ActionIcon, Group, Loader, Tabs, Tooltip } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { Suspense, useMemo } from "react";
import type { InspectedLaunch } from "../../../inspection/inspection.ts";
import { Icon } from "../../app/Icon.tsx";
import { go, hrefOf, setParams, usePlace } from "../../app/place.ts";
import { Family } from "../../common/KernelLink.tsx";
import { Stats } from "../../common/Stats.tsx";
import { useKernelTexts } from "../../data/kernel-texts.ts";
import { useProgram } from "../../data/page-context.ts";
import { purposeOf } from "../../model/names.ts";
import { kernelWork } from "../../model/step.ts";
import { LinkedCode } from "./code/LinkedCode.tsx";
import { kernelStats } from "./kernel-stats.tsx";
import classes from "./kernels.module.css";
import { Launches } from "./Launches.tsx";

const panes = ["code", "launches", "log"] as const;

/** One kernel: its figures, its code, its launches and what the compiler said. */
export function KernelDetail({ index }: { readonly index: number }) {
  const program = useProgram();
  const { params } = usePlace();
  const { kernels } = program;
  const kernel = kernels[index];
  const work = useMemo(() => kernelWork(program)[index], [program, index]);
  const launches = useMemo(
    () =>
      program.launches
        .map((launch, number): [number, InspectedLaunch] => [number, launch])
        .filter(([, launch]) => launch.kernel === index),
    [program, index],
  );
  const neighbour = (step: number) =>
    kernels[(index + step + kernels.length) % kernels.length]?.entry;
  const move = (step: number) => go("kernels", neighbour(step));
  useHotkeys([
    ["[", () => move(-1)],
    ["]", () => move(1)],
  ]);
  if (kernel === undefined || work === undefined) return null;
  const pane = panes.find((name) => name === params.get("pane")) ?? "code";
  return (
    <div className={classes.detail}>
      <div className={classes.head}>
        <div>
          <div className={classes.crumbs}>
            <a href={hrefOf("kernels")}>Kernels</a> / <Family family={kernel.family} />
          </div>
          <h2>{kernel.entry}</h2>
          <p>{purposeOf(program, index)}</p>
        </div>
        <Group gap={4} wrap="nowrap">
          {[
            { name: "Previous kernel", key: "[", step: -1, path: "M15 5l-7 7l7 7" },
            { name: "Next kernel", key: "]", step: 1, path: "M9 5l7 7l-7 7" },
          ].map(({ name, key, step, path }) => (
            <Tooltip key={key} label={`${name} (${key})`}>
              <ActionIcon
                variant="default"
                component="a"
                href={hrefOf("kernels", neighbour(step))}
                aria-label={name}
              >
                <Icon path={path} size={16} />
              </ActionIcon>
            </Tooltip>
          ))}
        </Group>
      </div>
      <Stats stats={kernelStats(program, work, launches)} />
      <Tabs
        value={pane}
        onChange={(value) => setParams({ pane: value === "code" ? undefined : (value ?? "code") })}
        mt="md"
        keepMounted={false}
      >
        <Tabs.List mb="sm">
          <Tabs.Tab value="code">Code</Tabs.Tab>
          <Tabs.Tab value="launches">Launches and arguments</Tabs.Tab>
          {kernel.compiled !== undefined && <Tabs.Tab value="log">Compiler</Tabs.Tab>}
        </Tabs.List>
        <Suspense fallback={<Loader size="sm" />}>
          <Tabs.Panel value="code">
            <Code index={index} />
          </Tabs.Panel>
          <Tabs.Panel value="launches">
            <Launches launches={launches} />
          </Tabs.Panel>
          <Tabs.Panel value="log">
            <Log index={index} />
          </Tabs.Panel>
        </Suspense>
      </Tabs>
    </div>
  );
}

function Code({ index }: { readonly index: number }) {
  return <LinkedCode texts={useKernelTexts(index)} />;
}

function Log({ index }: { readonly index: number }) {
  const { log = "" } = useKernelTexts(index);
  return (
    <pre className={classes.log}>
      {log.trim() === "" ? "The compiler had nothing to say." : log.trim()}
    </pre>
  );
}

import { ActionIcon, Group, Paper, Select, Text, Tooltip } from "@mantine/core";
import type { RecordedGeneration } from "../../inspection/recorded-generation.ts";
import { Icon } from "../app/Icon.tsx";
import classes from "./generation.module.css";
import { StepStrip } from "./StepStrip.tsx";
import type { Pace, Player } from "./use-player.ts";

const paces: Readonly<Record<string, Pace>> = {
  "as it ran": { slowdown: 1 },
  "10 × slower": { slowdown: 10 },
  "100 × slower": { slowdown: 100 },
  "1 step/s": { perSecond: 1 },
  "2 steps/s": { perSecond: 2 },
  "5 steps/s": { perSecond: 5 },
  "20 steps/s": { perSecond: 20 },
  "100 steps/s": { perSecond: 100 },
};

const nameOf = (pace: Pace): string | null =>
  Object.entries(paces).find(([, each]) => JSON.stringify(each) === JSON.stringify(pace))?.[0] ??
  null;

/** Play, pause, single steps, speed, and the strip of all steps. */
export function PlayerBar({
  generation,
  player,
}: {
  readonly generation: RecordedGeneration;
  readonly player: Player;
}) {
  const { steps } = generation;
  const { step, playing, pace, setPace, seek, toggle } = player;
  return (
    <Paper withBorder className={classes.player}>
      <Group gap={6} wrap="nowrap">
        <Button label="First step (Home)" path="M6 5v14M19 5L9 12l10 7z" onClick={() => seek(0)} />
        <Button label="One back (←)" path="M16 5L6 12l10 7z" onClick={() => seek(step - 1)} />
        <Tooltip label={playing ? "Pause (Space)" : "Play (Space)"}>
          <ActionIcon
            size={38}
            radius="xl"
            variant="filled"
            aria-label={playing ? "Pause" : "Play"}
            onClick={toggle}
          >
            <Icon path={playing ? "M8 5v14M16 5v14" : "M8 5l11 7l-11 7z"} size={20} />
          </ActionIcon>
        </Tooltip>
        <Button label="One on (→)" path="M8 5l10 7l-10 7z" onClick={() => seek(step + 1)} />
        <Button
          label="Last step (End)"
          path="M18 5v14M5 5l10 7l-10 7z"
          onClick={() => seek(steps.length - 1)}
        />
      </Group>
      <StepStrip steps={steps} step={step} onSeek={seek} />
      <Text size="sm" className={classes.position}>
        step <b>{step + 1}</b> of {steps.length}
      </Text>
      <Select
        size="xs"
        w={118}
        aria-label="Speed"
        data={Object.keys(paces)}
        value={nameOf(pace)}
        allowDeselect={false}
        onChange={(name) => {
          const chosen = paces[name ?? ""];
          if (chosen !== undefined) setPace(chosen);
        }}
      />
    </Paper>
  );
}

function Button({
  label,
  path,
  onClick,
}: {
  readonly label: string;
  readonly path: string;
  readonly onClick: () => void;
}) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size={32} aria-label={label} onClick={onClick}>
        <Icon path={path} size={17} />
      </ActionIcon>
    </Tooltip>
  );
}

import { Button, CloseButton } from "@mantine/core";
import { useMemo } from "react";
import type { ProgramOutline } from "../../../inspection/stored-page.ts";
import { hrefOf } from "../../app/place.ts";
import {
  formatBytes,
  formatFlops,
  formatGrid,
  formatIntensity,
  formatMicroseconds,
} from "../../common/format.ts";
import { Family } from "../../common/KernelLink.tsx";
import { useProgram } from "../../data/page-context.ts";
import { type GraphCard, groupSources, type RepeatedCards } from "../../model/graph-cards.ts";
import { shortLabel } from "../../model/names.ts";
import { workOf } from "../../model/step.ts";
import classes from "./graph.module.css";
import { placesOf } from "./graph-nodes.tsx";

/** Everything about a group: its kernels, what it moves, what it reads and who reads it, its nodes. */
export function CardDetails({
  card,
  repeat,
  unfolded,
  onToggle,
  onClose,
}: {
  readonly card: GraphCard;
  readonly repeat: RepeatedCards | undefined;
  readonly unfolded: ReadonlySet<string>;
  readonly onToggle: (repeat: string) => void;
  readonly onClose: () => void;
}) {
  const program = useProgram();
  const launches = card.launches.flatMap((index) => program.launches[index] ?? []);
  const work = workOf(launches);
  const group = card.group === undefined ? undefined : program.groups[card.group];
  const links = useMemo(() => neighbours(program, card.group), [program, card.group]);
  const weights = useMemo(() => weightsOf(program, card.group), [program, card.group]);
  const nodes = (group?.nodes ?? []).flatMap((index) => program.nodes[index] ?? []);
  return (
    <aside className={classes.details} aria-label="The chosen group">
      <div className={classes.detailsHead}>
        <div>
          <small>
            {card.phase} · {group?.kind ?? "output"}
          </small>
          <h3>{shortLabel(launches[0]?.label ?? "")}</h3>
        </div>
        <CloseButton onClick={onClose} aria-label="Close" size="sm" />
      </div>
      {repeat !== undefined && (
        <p className={classes.repeatNote}>
          Runs {repeat.repetitions.length} times with other weights
          {placesOf(repeat, program) !== "" && ` (${placesOf(repeat, program)})`}.{" "}
          <button type="button" onClick={() => onToggle(repeat.id)}>
            {unfolded.has(repeat.id) ? "Fold" : "Unfold"}
          </button>
        </p>
      )}
      {launches.map((launch, index) => {
        const kernel = program.kernels[launch.kernel];
        if (kernel === undefined) return null;
        return (
          <div key={card.launches[index]} className={classes.kernel}>
            <Family family={kernel.family} />
            <code>{kernel.entry}</code>
            <span>
              launch {card.launches[index]}, grid {formatGrid(launch.grid)} × {kernel.threads}{" "}
              threads
              {kernel.compiled !== undefined && `, ${kernel.compiled.registers} registers`}
            </span>
            <Button
              component="a"
              href={hrefOf("kernels", kernel.entry)}
              size="compact-xs"
              variant="light"
            >
              Open the kernel
            </Button>
          </div>
        );
      })}
      <dl className={classes.figures}>
        {[
          ["Modelled", formatMicroseconds(work.time)],
          ["Measured", work.measured === undefined ? "" : formatMicroseconds(work.measured)],
          ["Weights", formatBytes(work.weightBytes)],
          ["Other bytes", formatBytes(work.bytes - work.weightBytes)],
          ["Work", formatFlops(work.flops)],
          ["Intensity", formatIntensity(work.flops, work.bytes)],
        ]
          .filter(([, value]) => value !== "")
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      <Links title="Reads from" groups={links.sources} />
      <Links title="Read by" groups={links.targets} />
      {weights.length > 0 && (
        <>
          <h4>Weights</h4>
          <ul>
            {weights.map(({ name, type }) => (
              <li key={name}>
                {name} <small>{type}</small>
              </li>
            ))}
          </ul>
        </>
      )}
      {nodes.length > 0 && (
        <>
          <h4>{nodes.length === 1 ? "Node" : `${nodes.length} nodes`}</h4>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: scrolls, so it takes the keyboard */}
          <pre className={classes.nodes} tabIndex={0}>
            {nodes.map(({ text }) => text).join("\n")}
          </pre>
        </>
      )}
    </aside>
  );
}

function Links({ title, groups }: { readonly title: string; readonly groups: readonly number[] }) {
  const program = useProgram();
  if (groups.length === 0) return null;
  return (
    <>
      <h4>{title}</h4>
      <ul>
        {groups.slice(0, 12).map((index) => (
          <li key={index}>
            <a href={hrefOf("graph", undefined, { group: `${index}` })}>
              {labelOf(program, index)}
            </a>
          </li>
        ))}
        {groups.length > 12 && <li>and {groups.length - 12} more</li>}
      </ul>
    </>
  );
}

const labelOf = ({ groups, launches }: ProgramOutline, index: number): string =>
  launches[groups[index]?.launches[0] ?? -1]?.label ?? groups[index]?.label ?? "";

function neighbours(
  program: ProgramOutline,
  group: number | undefined,
): { readonly sources: readonly number[]; readonly targets: readonly number[] } {
  if (group === undefined) return { sources: [], targets: [] };
  const all = groupSources(program);
  return {
    sources: [...(all[group] ?? [])].sort((a, b) => a - b),
    targets: all.flatMap((own, index) => (own.has(group) ? [index] : [])),
  };
}

function weightsOf({ groups, nodes, sources }: ProgramOutline, group: number | undefined) {
  const own = group === undefined ? [] : (groups[group]?.nodes ?? []);
  const read = new Set(own.flatMap((index) => nodes[index]?.operands ?? []));
  return sources.filter(({ kind, value }) => kind === "parameter" && read.has(value));
}

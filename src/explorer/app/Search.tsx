import { Spotlight, type SpotlightActionData } from "@mantine/spotlight";
import { useMemo } from "react";
import type { StoredPage } from "../../inspection/stored-page.ts";
import { formatBytes } from "../common/format.ts";
import { usePage } from "../data/page-context.ts";
import { purposeOf } from "../model/names.ts";
import classes from "./app.module.css";
import { Icon } from "./Icon.tsx";
import { go } from "./place.ts";
import type { View } from "./views.ts";

/** Finds views, kernels, nodes and buffers by name. */
export function Search({ views }: { readonly views: readonly View[] }) {
  const page = usePage();
  const actions = useMemo(
    () => [
      ...viewActions(views),
      ...kernelActions(page),
      ...nodeActions(page),
      ...bufferActions(page),
    ],
    [views, page],
  );
  return (
    <Spotlight
      actions={actions}
      shortcut={["mod + K", "/"]}
      limit={20}
      classNames={{ action: classes.action, actionDescription: classes.description }}
      highlightQuery
      scrollable
      maxHeight={480}
      nothingFound="Nothing of that name"
      searchProps={{ placeholder: "Name of a kernel, node, buffer or view" }}
    />
  );
}

const viewActions = (views: readonly View[]): SpotlightActionData[] =>
  views.map(({ id, name, icon }) => ({
    id: `view ${id}`,
    label: name,
    leftSection: <Icon path={icon} />,
    onClick: () => go(id),
  }));

function kernelActions({ program }: StoredPage): SpotlightActionData[] {
  if (program === undefined) return [];
  return program.kernels.map(({ entry, family }, index) => ({
    id: `kernel ${index}`,
    label: entry,
    description: `${family} kernel: ${purposeOf(program, index)}`,
    onClick: () => go("kernels", entry),
  }));
}

const nodeActions = ({ program }: StoredPage): SpotlightActionData[] =>
  (program?.nodes ?? []).flatMap(({ label, op, group, text }, index) =>
    label === undefined || group === undefined
      ? []
      : [
          {
            id: `node ${index}`,
            label,
            description: `node: ${text}`,
            keywords: [op],
            onClick: () => go("graph", undefined, { group: `${group}` }),
          },
        ],
  );

const bufferActions = ({ program }: StoredPage): SpotlightActionData[] =>
  (program?.buffers ?? []).flatMap(({ kind, label, type, bytes }, index) =>
    kind === "scratch" || kind === "constant"
      ? []
      : [
          {
            id: `buffer ${index}`,
            label,
            description: `${kind}: ${type}, ${formatBytes(bytes)}`,
            onClick: () => go("memory", undefined, { find: label }),
          },
        ],
  );

import { Spotlight, type SpotlightActionData } from "@mantine/spotlight";
import { useMemo } from "react";
import type { StoredPage } from "../../inspection/stored-page.ts";
import { usePage } from "../data/page-context.ts";
import { Icon } from "./Icon.tsx";
import { go } from "./place.ts";
import type { View } from "./views.ts";

/** Finds views and kernels by name. */
export function Search({ views }: { readonly views: readonly View[] }) {
  const page = usePage();
  const actions = useMemo(() => [...viewActions(views), ...kernelActions(page)], [views, page]);
  return (
    <Spotlight
      actions={actions}
      shortcut={["mod + K", "/"]}
      limit={12}
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

const kernelActions = ({ program }: StoredPage): SpotlightActionData[] =>
  (program?.kernels ?? []).map(({ entry, family }) => ({
    id: `kernel ${entry}`,
    label: entry,
    description: `kernel · ${family}`,
    onClick: () => go("kernels", entry),
  }));

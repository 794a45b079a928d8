import { Stack, Text } from "@mantine/core";
import { ViewHead } from "../common/Panel.tsx";
import { usePage, useProgram } from "../data/page-context.ts";
import { GenerationView } from "../generation/GenerationView.tsx";
import { TreeView } from "../tree/TreeView.tsx";

/** The step's draft tree. */
export function DraftTreeView() {
  const { tree } = useProgram();
  if (tree === undefined) return <Text>This program has no tree.</Text>;
  return (
    <Stack gap="md">
      <ViewHead
        title="Draft tree"
        about="The nodes a step verifies at once, and which of them each may attend to."
      />
      <TreeView tree={tree} />
    </Stack>
  );
}

/** The recorded generation. */
export function ReplayView() {
  const { generation } = usePage();
  return generation === undefined ? null : <GenerationView generation={generation} />;
}

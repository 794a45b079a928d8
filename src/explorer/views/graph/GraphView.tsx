import { Button, Group } from "@mantine/core";
import { ReactFlowProvider } from "@xyflow/react";
import { useCallback, useMemo, useState } from "react";
import { go, setParams, usePlace } from "../../app/place.ts";
import { ViewHead } from "../../common/Panel.tsx";
import { useProgram } from "../../data/page-context.ts";
import { foldCards, type GraphCard, graphCards, isRepeated } from "../../model/graph-cards.ts";
import { CardDetails } from "./CardDetails.tsx";
import { GraphCanvas } from "./GraphCanvas.tsx";
import classes from "./graph.module.css";

const noRepeats: ReadonlySet<string> = new Set();

/** The model's graph as the groups that became kernels, and what each of them is. */
export function GraphView() {
  const program = useProgram();
  const { params } = usePlace();
  const [unfolded, setUnfolded] = useState(noRepeats);
  const cards = useMemo(() => graphCards(program), [program]);
  const items = useMemo(() => foldCards(cards, program), [cards, program]);
  const repeats = items.filter(isRepeated);
  const group = params.get("group");
  const launch = params.get("launch");
  const chosen = cards.find(({ id }) => id === `group ${group}` || id === `launch ${launch}`);
  const choose = useCallback((card: GraphCard | undefined) => {
    setParams({
      group: card?.group?.toString(),
      launch: card !== undefined && card.group === undefined ? `${card.launches[0]}` : undefined,
    });
  }, []);
  const open = useCallback(
    (card: GraphCard) => {
      const first = program.launches[card.launches[0] ?? -1];
      const entry = first === undefined ? undefined : program.kernels[first.kernel]?.entry;
      if (entry !== undefined) go("kernels", entry);
    },
    [program],
  );
  const toggle = useCallback((id: string) => {
    setUnfolded((now) => {
      const next = new Set(now);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  }, []);
  return (
    <>
      <ViewHead
        title="Graph"
        about="A card is a group of nodes that run as one kernel, from top to bottom in the order they run. Arrow keys move, Enter opens the kernel."
      >
        {repeats.length > 0 && (
          <Group gap="xs" wrap="nowrap">
            <Button
              variant="default"
              size="xs"
              onClick={() =>
                setUnfolded(unfolded.size === 0 ? new Set(repeats.map(({ id }) => id)) : noRepeats)
              }
            >
              {unfolded.size === 0 ? "Show every layer" : "Fold layers"}
            </Button>
          </Group>
        )}
      </ViewHead>
      <div className={classes.view}>
        <ReactFlowProvider>
          <GraphCanvas
            items={items}
            unfolded={unfolded}
            chosen={chosen}
            onChoose={choose}
            onOpen={open}
            onToggle={toggle}
          />
        </ReactFlowProvider>
        {chosen !== undefined && (
          <CardDetails
            card={chosen}
            repeat={repeats.find(({ repetitions }) => repetitions.flat().includes(chosen))}
            unfolded={unfolded}
            onToggle={toggle}
            onClose={() => choose(undefined)}
          />
        )}
      </div>
    </>
  );
}

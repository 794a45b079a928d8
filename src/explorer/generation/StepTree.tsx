import { memo, useEffect, useMemo, useRef } from "react";
import type { InspectedTree } from "../../inspection/inspection.ts";
import type { RecordedGeneration, RecordedStep } from "../../inspection/recorded-generation.ts";
import { type NodeLook, TreeDrawing } from "../tree/TreeDrawing.tsx";
import { treeLayout } from "../tree/tree-layout.ts";
import classes from "./generation.module.css";
import { stepEnd } from "./statistics.ts";
import { shortLabel, tokenLabel } from "./visible-text.ts";

const columns = 11;
const sizes = { nodeWidth: 92, nodeHeight: 19, gapX: 26, gapY: 3, fontSize: 11.5 };

/** A step's draft tree with its tokens: what was accepted, what was not, and what came instead. */
export const StepTree = memo(function StepTree({
  generation,
  step,
}: {
  readonly generation: RecordedGeneration;
  readonly step: number;
}) {
  const recorded = generation.steps[step];
  const tree = recorded && generation.trees[recorded.tree];
  const frame = useRef<HTMLDivElement>(null);
  const drawn = useMemo(() => drawnStep(generation, step), [generation, step]);
  const lastNode = recorded?.path.at(-1) ?? 0;
  useEffect(() => {
    const node = frame.current?.querySelector(`[data-node="${lastNode}"]`);
    if (frame.current !== null && node !== null && node !== undefined)
      keepInSight(frame.current, node);
  }, [lastNode]);
  if (recorded === undefined || tree === undefined || drawn === undefined) return null;
  return (
    <section
      ref={frame}
      className={classes.tree}
      aria-label="Draft tree of the step"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
      tabIndex={0}
    >
      <TreeDrawing
        parents={drawn.parents}
        depths={drawn.depths}
        layout={drawn.layout}
        sizes={sizes}
        looks={drawn.looks}
        scale={1}
        label={`Draft tree of step ${step + 1}: ${recorded.path.length} of ${tree.parents.length} nodes committed`}
      />
    </section>
  );
});

/** The step's tree and, as one more child of the last accepted node, what the step went on to. */
function drawnStep(generation: RecordedGeneration, index: number) {
  const step = generation.steps[index];
  const tree = step && generation.trees[step.tree];
  if (step === undefined || tree === undefined) return undefined;
  const looks = looksOf(generation, step, tree);
  const next = continuationOf(generation, index);
  const after = step.path.at(-1) ?? 0;
  const parents = next === undefined ? tree.parents : [...tree.parents, after];
  const depths = next === undefined ? tree.depths : [...tree.depths, (tree.depths[after] ?? 0) + 1];
  return {
    parents,
    depths,
    looks: next === undefined ? looks : [...looks, next],
    layout: treeLayout(parents, depths, "first"),
  };
}

function looksOf(
  generation: RecordedGeneration,
  step: RecordedStep,
  tree: InspectedTree,
): NodeLook[] {
  const path = new Set(step.path);
  return step.tokens.map((token, node): NodeLook => {
    const label = tokenLabel(generation, token);
    const parent = tree.parents[node] ?? -1;
    const accepted = path.has(node);
    const compared = path.has(parent);
    const fate = accepted
      ? parent < 0
        ? "root: decided by the step before"
        : "accepted"
      : compared
        ? "not what the model wanted"
        : "below a rejected draft";
    return {
      label: shortLabel(label, columns),
      title: `${label} · token ${token} · node ${node}, depth ${tree.depths[node] ?? 0}, rank ${tree.ranks[node] ?? 0} · ${fate}`,
      kind: parent < 0 ? "root" : accepted ? "accepted" : "rejected",
      faded: !accepted && !compared,
    };
  });
}

/** The token the step went on to: the root of the next one. Nobody knows the last step's. */
function continuationOf(generation: RecordedGeneration, index: number): NodeLook | undefined {
  const step = generation.steps[index];
  const token = generation.steps[index + 1]?.tokens[0];
  if (step === undefined || token === undefined) return undefined;
  const rejected = stepEnd(generation, step) === "rejected";
  const label = tokenLabel(generation, token);
  return {
    label: shortLabel(label, columns),
    title: `${label} · token ${token} · ${rejected ? "what the model wanted instead" : "comes on top: every draft on the way was accepted"}`,
    kind: rejected ? "correction" : "bonus",
  };
}

function keepInSight(frame: HTMLElement, node: Element): void {
  const box = node.getBoundingClientRect();
  const outer = frame.getBoundingClientRect();
  // Room for what comes after the node, too.
  const right = box.right + sizes.nodeWidth + sizes.gapX;
  if (box.top < outer.top || box.bottom > outer.bottom)
    frame.scrollTop += box.top - outer.top - outer.height / 2;
  if (box.left < outer.left || right > outer.right) frame.scrollLeft += right - outer.right;
}

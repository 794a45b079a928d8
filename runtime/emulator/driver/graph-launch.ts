import { cudaError } from "../../driver/check.ts";
import type { EmulatedDevice } from "./device.ts";
import type { ExecData, GraphData, NodeData, NodeWork } from "./graph.ts";
import { isProgrammatic, type StreamData, type Streams } from "./streams.ts";
import type { Work } from "./work-queue.ts";

/**
 * Queues one launch of a graph. Nodes become work of their own, ordered by their dependencies
 * alone, so that a dependency somebody forgot shows as a race.
 */
export function launchGraph(
  device: EmulatedDevice,
  streams: Streams,
  exec: ExecData,
  stream: StreamData,
): void {
  if (stream.capture !== undefined) {
    throw cudaError("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "cuGraphLaunch", "graphs in graphs");
  }
  const begin = streams.enqueue(stream, "graph begins", () => {
    for (const [handle, value] of exec.defaults) device.conditions.set(handle, value);
  });
  const last = queueNodes(device, streams, exec, exec.graph, begin);
  stream.last = streams.queue.add("graph ends", [begin, ...last], () => {});
}

function queueNodes(
  device: EmulatedDevice,
  streams: Streams,
  exec: ExecData,
  graph: GraphData,
  begin: Work,
): readonly Work[] {
  const works = new Map<NodeData, Work>();
  for (const node of graph.nodes) {
    // Arguments may be set anew for the next launch; this one keeps those of now.
    const work = exec.work.get(node) ?? node.work;
    const before = node.dependencies.flatMap((earlier) => works.get(earlier) ?? []);
    const queued = streams.queue.add(nodeLabel(work), [begin, ...before], (one) => {
      if (work.kind === "conditional") runConditional(device, streams, exec, work, one);
      else streams.perform(work, one);
    });
    queued.overlaps = isProgrammatic(work);
    works.set(node, queued);
  }
  return [...works.values()];
}

function nodeLabel(work: NodeWork): string {
  return work.kind === "other" ? work.label : `${work.kind} node`;
}

/** The body's work runs before the node counts as done; whatever follows is ordered after it. */
function runConditional(
  device: EmulatedDevice,
  streams: Streams,
  exec: ExecData,
  { condition, handle, bodies }: Extract<NodeWork, { kind: "conditional" }>,
  node: Work,
): void {
  const value = (): number => device.conditions.get(handle) ?? 0;
  let before = node;
  const run = (body: GraphData | undefined): void => {
    if (body === undefined) return;
    const last = queueNodes(device, streams, exec, body, before);
    before = streams.queue.add("body ends", [before, ...last], () => {});
    streams.queue.execute(before);
  };
  switch (condition) {
    case "if":
      run(bodies[value() !== 0 ? 0 : 1]);
      break;
    case "while":
      while (value() !== 0) run(bodies[0]);
      break;
    case "switch":
      run(bodies[value()]);
      break;
    default:
      condition satisfies never;
  }
  // Later nodes know this one only; through it they come after the body.
  if (before !== node) node.preceding = [...node.preceding, ...precedingOf(before, node)];
}

/** The body's work, without the node itself, which cannot precede itself. */
function precedingOf(last: Work, node: Work): readonly Work[] {
  const all = new Set<Work>([last]);
  for (const one of all) {
    for (const earlier of one.preceding) if (earlier !== node) all.add(earlier);
  }
  return [...all].filter((one) => one.done);
}

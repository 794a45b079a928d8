import type { InspectedLaunch } from "../../../src/inspection/inspection.ts";
import type { ProgramOutline } from "../../../src/inspection/stored-page.ts";

const families = ["linear", "attention", "accept", "cache", "finish", "embedding"];

/** A launch of a kernel of `family`, 1 µs long, whose group has its own number. */
function launchOf(
  index: number,
  label: string,
  family: string,
  group: number | undefined,
): InspectedLaunch {
  return {
    kernel: families.indexOf(family),
    ...(group === undefined ? {} : { group }),
    label,
    grid: [1, 1, 1],
    args: [],
    weightBytes: 100,
    readBytes: 20,
    writtenBytes: 10,
    flops: 1300,
    modelled: index + 1,
  };
}

/** Label and family of every launch of a step: two heads, an embedding, three layers, and the rest. */
const steps: readonly (readonly [label: string, family: string])[] = [
  ["cast", "embedding"],
  ["draft.0.lm_head", "linear"],
  ["cast", "embedding"],
  ["draft.1.lm_head", "linear"],
  ["embed_tokens + layers.0.input_layernorm", "embedding"],
  ...[0, 1, 2].flatMap((layer): [string, string][] => [
    [`layers.${layer}.attention`, "attention"],
    [`layers.${layer}.down_proj`, "linear"],
  ]),
  ["verify.lm_head", "linear"],
  ["accept.accept_match", "accept"],
  ["commit of 6 caches", "cache"],
  ["prefix.attention", "attention"],
  ["finish", "finish"],
];

/**
 * A made-up program: launch i computes group i, group i reads group i - 1 through node i - 1, and the
 * last launch is of no group. Launches 5 to 10 are three repetitions of two.
 */
export function smallProgram(): ProgramOutline {
  const last = steps.length - 1;
  const groups = steps.slice(0, last).map(([label], index) => ({
    kind: "linear",
    label,
    nodes: [index],
    launches: [index],
  }));
  return {
    title: "small",
    version: "0",
    command: "hydra inspect",
    made: "2026-01-01T00:00:00Z",
    gpu: {
      arch: "sm_90a",
      name: "H200",
      multiprocessors: 132,
      registersPerMultiprocessor: 65536,
      sharedBytesPerMultiprocessor: 233472,
      sharedBytesPerBlock: 232448,
      threadsPerMultiprocessor: 2048,
      blocksPerMultiprocessor: 32,
      bandwidth: 1e12,
      matrixRate: 1e14,
      vectorRate: 1e13,
      launchGap: 1,
    },
    model: [],
    nodes: groups.map(({ label }, index) => ({
      op: "linear",
      label,
      operands: index === 0 ? [] : [index - 1],
      results: [{ value: index, type: "f32[1]" }],
      text: `%${index} = linear`,
      group: index,
    })),
    sources: [],
    groups,
    kernels: families.map((family) => ({
      entry: `${family}_kernel`,
      family,
      threads: 128,
      dynamicSharedBytes: 0,
    })),
    launches: steps.map(([label, family], index) =>
      launchOf(index, label, family, index === last ? undefined : index),
    ),
    repeats: [{ start: 5, period: 2, times: 3 }],
    buffers: [],
    memory: { weights: 0, caches: 0, other: 0, arena: 300, ring: 0, capacity: 64 },
  };
}

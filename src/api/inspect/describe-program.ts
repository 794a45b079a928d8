import type { Compilation } from "../../../codegen/compile.ts";
import { groupLabel } from "../../../codegen/lower/context.ts";
import type {
  CompiledKernel,
  GpuLimits,
  Inspection,
  InspectedArgument,
  InspectedBuffer,
  InspectedGroup,
  InspectedKernel,
  InspectedLaunch,
  InspectedNode,
  InspectedSource,
  MemoryTotals,
  Repeat,
} from "../../inspection/inspection.ts";
import { type Graph, typeOf, type ValueId } from "../../ir/graph.ts";
import { printNode } from "../../ir/print.ts";
import {
  buffersOf,
  type KernelArgument,
  type Launch,
  type Program,
  ringSlots,
} from "../../ir/program.ts";
import { repetition } from "../../ir/program-print.ts";
import { formatType } from "../../ir/shape.ts";
import type { FlatKernel } from "./compile-kernels.ts";
import { modelledTime, usesTensorCores } from "./model-time.ts";

/** The parts of an inspection that are in the program itself. */
export type DescribedProgram = Pick<
  Inspection,
  "nodes" | "sources" | "groups" | "kernels" | "launches" | "repeats" | "buffers" | "memory"
>;

export interface DescribeOptions {
  readonly gpu: GpuLimits;
  readonly kernels: readonly FlatKernel[];
  /** By kernel entry. */
  readonly compiled: ReadonlyMap<string, CompiledKernel>;
  /** Microseconds of a launch by kernel entry. */
  readonly measured?: ReadonlyMap<string, number> | undefined;
}

export function describeProgram(
  { fused, program }: Pick<Compilation, "fused" | "program">,
  options: DescribeOptions,
): DescribedProgram {
  const { graph } = fused;
  const launchesOf = fused.groups.map((): number[] => []);
  for (const [index, { group }] of program.launches.entries()) {
    if (group !== undefined) launchesOf[group]?.push(index);
  }
  const nodeIndex = new Map(graph.nodes.map((node, index) => [node, index]));
  const groupOf = new Map(
    fused.groups.flatMap(({ nodes }, group) => nodes.map((node) => [node, group])),
  );
  return {
    nodes: graph.nodes.map((node): InspectedNode => {
      const group = groupOf.get(node);
      return {
        op: node.op,
        ...(node.label === undefined ? {} : { label: node.label }),
        operands: node.operands,
        results: node.results.map((value) => describeValue(graph, value)),
        text: printNode(graph, node),
        ...(group === undefined ? {} : { group }),
      };
    }),
    sources: graph.sources.map(
      ({ kind, name, value }): InspectedSource => ({ kind, name, ...describeValue(graph, value) }),
    ),
    groups: fused.groups.map(
      ({ kind, nodes }, index): InspectedGroup => ({
        kind,
        label: groupLabel(nodes),
        nodes: nodes.map((node) => nodeIndex.get(node) ?? -1),
        launches: launchesOf[index] ?? [],
      }),
    ),
    kernels: options.kernels.map((kernel) => describeKernel(kernel, options.compiled)),
    launches: describeLaunches(program, options),
    repeats: findRepeats(program.launches),
    buffers: describeBuffers(program, graph),
    memory: memoryOf(program, graph),
  };
}

function describeValue(graph: Graph, value: ValueId): { value: ValueId; type: string } {
  return { value, type: formatType(typeOf(graph, value)) };
}

function describeKernel(
  { kernel, cuda }: FlatKernel,
  compiled: ReadonlyMap<string, CompiledKernel>,
): InspectedKernel {
  const { entry, family, threads, sharedBytes, source } = kernel;
  const code = compiled.get(entry);
  return {
    entry,
    family,
    threads,
    dynamicSharedBytes: sharedBytes,
    generated: source,
    cuda,
    ...(code === undefined ? {} : { compiled: code }),
  };
}

function describeLaunches(
  program: Program,
  { gpu, measured }: DescribeOptions,
): readonly InspectedLaunch[] {
  const kernels = new Map(
    program.kernels.map((kernel, index) => [kernel.entry, { kernel, index }]),
  );
  return program.launches.map(({ kernel: entry, group, label, grid, args, traffic }) => {
    const found = kernels.get(entry);
    const tensorCores = found !== undefined && usesTensorCores(found.kernel);
    const time = measured?.get(entry);
    return {
      kernel: found?.index ?? -1,
      ...(group === undefined ? {} : { group }),
      label,
      grid,
      args: args.map((arg) => describeArgument(program, arg)),
      ...traffic,
      modelled: modelledTime(traffic, tensorCores, gpu),
      ...(time === undefined ? {} : { measured: time }),
    };
  });
}

function describeArgument(program: Program, arg: KernelArgument): InspectedArgument {
  const { name } = arg;
  switch (arg.type) {
    case "buffer":
      return {
        name,
        type: `${program.buffers[arg.buffer]?.dtype ?? "?"}*`,
        access: arg.access,
        buffers: [arg.buffer],
      };
    case "table":
      return {
        name,
        type: `table of ${arg.buffers.length}`,
        access: arg.access,
        buffers: arg.buffers,
      };
    case "tensor-map": {
      const { boxRows } = arg.map;
      return { name, type: `boxes [${boxRows}, 64]`, access: arg.access, buffers: [arg.buffer] };
    }
    case "i32":
    case "f32":
      return { name, type: arg.type, value: arg.value };
    case "ring":
      return { name, type: "ring" };
    default:
      return arg satisfies never;
  }
}

function findRepeats(launches: readonly Launch[]): Repeat[] {
  const repeats: Repeat[] = [];
  for (let start = 0; start < launches.length; ) {
    const { period, times } = repetition(launches, start);
    if (times > 1) repeats.push({ start, period, times });
    start += period * times;
  }
  return repeats;
}

function describeBuffers(program: Program, graph: Graph): readonly InspectedBuffer[] {
  const live = program.buffers.map((): [number, number] => [-1, -1]);
  for (const [index, { args }] of program.launches.entries()) {
    for (const id of args.flatMap(buffersOf)) {
      const range = live[id];
      if (range === undefined) continue;
      if (range[0] < 0) range[0] = index;
      range[1] = index;
    }
  }
  const types = new Map(
    graph.sources.map(({ name, value }) => [name, formatType(typeOf(graph, value))]),
  );
  return program.buffers.map(({ dtype, elements, bytes, storage, label }, id) => {
    const type = "name" in storage ? types.get(storage.name) : undefined;
    return {
      kind: storage.kind,
      label,
      type: type ?? `${dtype}[${elements}]`,
      bytes,
      ...(storage.kind === "scratch" ? { offset: storage.offset } : {}),
      live: live[id] ?? [-1, -1],
    };
  });
}

function memoryOf(program: Program, graph: Graph): MemoryTotals {
  const ranks = new Map(
    graph.sources.map(({ name, value }) => [name, typeOf(graph, value).shape.length]),
  );
  let [weights, caches, other] = [0, 0, 0];
  for (const { bytes, storage } of program.buffers) {
    // Of the states only keys and values are [slots, heads, head size].
    if (storage.kind === "parameter") weights += bytes;
    else if (storage.kind === "state" && ranks.get(storage.name) === 3) caches += bytes;
    else if (storage.kind !== "scratch") other += bytes;
  }
  return {
    weights,
    caches,
    other,
    arena: program.arenaBytes,
    ring: ringSlots(program.ring.slotBytes) * program.ring.slotBytes,
    capacity: program.dims.capacity ?? 0,
  };
}

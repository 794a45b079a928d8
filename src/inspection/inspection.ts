/*
 * A compiled program as data for people: what `hydra inspect --html` puts into its page and
 * `--out` into its folders. Plain JSON, written by src/api/inspect and read by src/explorer.
 * Times are in microseconds, sizes in bytes, rates per second, unless a name says otherwise.
 */

import type { RecordedGeneration } from "./recorded-generation.ts";

/** What a page explores: a program, a generation, or both. */
export interface PageData {
  readonly program?: Inspection | undefined;
  readonly generation?: RecordedGeneration | undefined;
}

/** A compiled program as plain data: its graph, kernels, launches, memory and figures. */
export interface Inspection {
  /** For example `vicuna-7b with hydra++, step over mc_sim_7b_63, sm_90a`. */
  readonly title: string;
  /** Version of hydrant that made it. */
  readonly version: string;
  /** The command line that makes it again, from `hydra` on. */
  readonly command: string;
  /** ISO date and time. */
  readonly made: string;
  readonly gpu: GpuLimits;
  /** NVRTC's version, `13.0`; absent where kernels were not compiled. */
  readonly nvrtc?: string | undefined;
  /** Why kernels were not compiled, and what helps. */
  readonly notCompiled?: string | undefined;
  /** Why compiled kernels have no machine code, and what helps. */
  readonly noSass?: string | undefined;
  /** Name and number of every setting of base model and heads worth showing, in order. */
  readonly model: readonly { readonly name: string; readonly value: string }[];
  /** The draft tree of the step; absent for a prefill. */
  readonly tree?: InspectedTree | undefined;
  /** Nodes of the graph the groups are of (after the graph passes), in execution order. */
  readonly nodes: readonly InspectedNode[];
  /** Sources the nodes read: weights, inputs, states. */
  readonly sources: readonly InspectedSource[];
  /** In the order they run. A node in no group is computed inside the kernels that use it. */
  readonly groups: readonly InspectedGroup[];
  readonly kernels: readonly InspectedKernel[];
  /** In stream order. */
  readonly launches: readonly InspectedLaunch[];
  /** Runs of launches that repeat, the layers of a model: ascending, not overlapping. */
  readonly repeats: readonly Repeat[];
  readonly buffers: readonly InspectedBuffer[];
  readonly memory: MemoryTotals;
  /** Where measured times come from, when there are any: `bench/results/gpu-….json`, device, date. */
  readonly measured?: string | undefined;
}

/** Limits and peaks of the GPU the figures are computed for. */
export interface GpuLimits {
  /** `sm_90a`. */
  readonly arch: string;
  /** The chip the peaks are of: `H200`. */
  readonly name: string;
  readonly multiprocessors: number;
  readonly registersPerMultiprocessor: number;
  readonly sharedBytesPerMultiprocessor: number;
  /** Most dynamic shared memory of a block. */
  readonly sharedBytesPerBlock: number;
  readonly threadsPerMultiprocessor: number;
  readonly blocksPerMultiprocessor: number;
  /** Bytes a second of device memory, as published. */
  readonly bandwidth: number;
  /** Operations a second of dense 16-bit matrix products, as published. */
  readonly matrixRate: number;
  /** Operations a second of f32 arithmetic outside tensor cores, as published. */
  readonly vectorRate: number;
  /** Microseconds from the end of one kernel of a graph to the start of the next. */
  readonly launchGap: number;
}

export interface InspectedTree {
  readonly name: string;
  /** By node; the root's is -1. */
  readonly parents: readonly number[];
  readonly depths: readonly number[];
  /** Rank of each node's token among its parent's candidates; the root's is 0. */
  readonly ranks: readonly number[];
}

/** A value's number in the graph: `%12`. */
export type ValueNumber = number;

export interface InspectedValue {
  readonly value: ValueNumber;
  /** `bf16[64, 4096]`. */
  readonly type: string;
}

export interface InspectedNode {
  readonly op: string;
  readonly label?: string | undefined;
  readonly operands: readonly ValueNumber[];
  readonly results: readonly InspectedValue[];
  /** The line of the graph's text form. */
  readonly text: string;
  /** Index into `groups`. */
  readonly group?: number | undefined;
}

export interface InspectedSource extends InspectedValue {
  readonly kind: "parameter" | "input" | "state";
  readonly name: string;
}

export interface InspectedGroup {
  /** Kind of group: `rope_linear`. */
  readonly kind: string;
  readonly label: string;
  /** Indices into `nodes`. */
  readonly nodes: readonly number[];
  /** Indices into `launches`. */
  readonly launches: readonly number[];
}

export interface InspectedKernel {
  /** Symbol of the kernel. */
  readonly entry: string;
  readonly family: string;
  readonly threads: number;
  /** Bytes of dynamic shared memory. */
  readonly dynamicSharedBytes: number;
  /** The generated block: configuration, fused functions, entry. */
  readonly generated: string;
  /** One translation unit without includes: what is compiled, and the lines `ptxLines` speaks of. */
  readonly cuda: string;
  /** Absent where kernels were not compiled. */
  readonly compiled?: CompiledKernel | undefined;
}

export interface CompiledKernel {
  /** Without its line table, which is in `ptxLines`. */
  readonly ptx: string;
  /** For each line of `ptx`, from the first: its line in `cuda`, from 1; 0 for none. */
  readonly ptxLines: readonly number[];
  /** Machine code as the disassembler prints it; absent where there is none. */
  readonly sass?: string | undefined;
  /** As `ptxLines`, for `sass`. */
  readonly sassLines?: readonly number[] | undefined;
  /** Per thread. */
  readonly registers: number;
  readonly spillBytes: number;
  readonly stackBytes: number;
  readonly staticSharedBytes: number;
  readonly barriers: number;
  readonly occupancy: Occupancy;
  /** The compiler's messages. */
  readonly log: string;
}

export interface Occupancy {
  readonly blocksPerMultiprocessor: number;
  /** Resident warps over the most there can be: 0 to 1. */
  readonly fraction: number;
  /** What keeps another block out. */
  readonly limitedBy: "registers" | "shared memory" | "threads" | "blocks";
}

export interface InspectedLaunch {
  /** Index into `kernels`. */
  readonly kernel: number;
  /** Index into `groups`; absent for the launch that publishes the outputs. */
  readonly group?: number | undefined;
  /** Labels of the nodes it computes. */
  readonly label: string;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly args: readonly InspectedArgument[];
  readonly weightBytes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly flops: number;
  /** The least time its bytes and operations allow, or the gap between kernels if that is more. */
  readonly modelled: number;
  readonly measured?: number | undefined;
}

export interface InspectedArgument {
  readonly name: string;
  /** `bf16*`, `table of 32`, `i32`, `ring`. */
  readonly type: string;
  readonly access?: "read" | "write" | "update" | undefined;
  /** Indices into `Inspection.buffers`. */
  readonly buffers?: readonly number[] | undefined;
  /** Of a number. */
  readonly value?: number | undefined;
}

export interface Repeat {
  /** Index of the first launch. */
  readonly start: number;
  /** Launches of one repetition. */
  readonly period: number;
  readonly times: number;
}

export interface InspectedBuffer {
  readonly kind: "parameter" | "constant" | "input" | "state" | "scratch" | "counter";
  readonly label: string;
  readonly type: string;
  readonly bytes: number;
  /** Place in the arena; of scratch only. */
  readonly offset?: number | undefined;
  /** First and last launch that use it; both -1 for one no launch uses. */
  readonly live: readonly [first: number, last: number];
}

export interface MemoryTotals {
  readonly weights: number;
  /** Keys and values of all layers, at this capacity. */
  readonly caches: number;
  /** Other states, constants, inputs and counters. */
  readonly other: number;
  readonly arena: number;
  readonly ring: number;
  /** Slots of every cache. */
  readonly capacity: number;
}

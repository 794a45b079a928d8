import type { DType, FloatDType } from "./dtype.ts";
import type { Graph } from "./graph.ts";
import type { DimBindings } from "./shape.ts";

/*
 * What the code generator hands the CUDA runtime: plain data, every extent a number. A program runs
 * one graph for fixed `rows` and `capacity`; nothing in it depends on how long the context is, which
 * kernels read from device memory.
 */

/** Index into `Program.buffers`. */
export type BufferId = number;

/** Where a buffer's memory comes from. */
export type Storage =
  /** A weight, in the layout `weightLayout` gives its type (weight-layout.ts). */
  | { readonly kind: "parameter"; readonly name: string }
  /** Uploaded once, when the program is loaded. */
  | { readonly kind: "constant"; readonly data: Uint8Array }
  /** Written by the host before every run. */
  | { readonly kind: "input"; readonly name: string }
  /** Lives as long as the session, zeros at first, shared by name among its programs. */
  | { readonly kind: "state"; readonly name: string }
  /** Part of the arena, planned by liveness; holds nothing between runs. */
  | { readonly kind: "scratch"; readonly offset: number }
  /** Zeros before every launch that uses it: kernels put back the zeros they found. */
  | { readonly kind: "counter" };

export interface Buffer {
  readonly dtype: DType;
  /** Elements of the tensor, without the padding of a packed weight. */
  readonly elements: number;
  /** Bytes of memory, padding included. */
  readonly bytes: number;
  readonly storage: Storage;
  /** For people: the value's label in the graph. */
  readonly label: string;
}

export type Access = "read" | "write" | "update";

/** One kernel argument, in the order of the kernel's signature. */
export type KernelArgument = { readonly name: string } & (
  | { readonly type: "buffer"; readonly buffer: BufferId; readonly access: Access }
  /** A structure of pointers, passed by value. */
  | { readonly type: "table"; readonly buffers: readonly BufferId[]; readonly access: Access }
  /** How bulk copies find boxes of a matrix (CUtensorMap), passed by value. */
  | {
      readonly type: "tensor-map";
      readonly buffer: BufferId;
      readonly access: "read";
      readonly map: TensorMap;
    }
  | { readonly type: "i32" | "f32"; readonly value: number }
  /** Address of the ring of output slots that host and device share (see `Program.ring`). */
  | { readonly type: "ring" }
);

/** The buffers an argument leads to. */
export function buffersOf(arg: KernelArgument): readonly BufferId[] {
  switch (arg.type) {
    case "buffer":
    case "tensor-map":
      return [arg.buffer];
    case "table":
      return arg.buffers;
    case "i32":
    case "f32":
    case "ring":
      return [];
    default:
      return arg satisfies never;
  }
}

/**
 * A row-major matrix [rows, columns] of 16-bit elements, of which boxes [boxRows, 64] are copied to
 * shared memory: 128 bytes to a row, its 16-byte pieces swizzled (piece ^ row % 8). What is past the
 * matrix becomes zero.
 */
export interface TensorMap {
  readonly dtype: "bf16" | "f16";
  readonly rows: number;
  /** A multiple of 8: rows begin at multiples of 16 bytes. */
  readonly columns: number;
  /** At most 256. */
  readonly boxRows: number;
}

/** One CUDA translation unit with one kernel in it. Equal kernels of a program are one entry. */
export interface KernelSource {
  /** Symbol of the kernel, `extern "C"`: says op, shape, types and fusion. */
  readonly entry: string;
  /** Folder of its body under kernels/. */
  readonly family: string;
  /** Includes our headers only: `prelude/….cuh` and `kernels/….cuh`. */
  readonly source: string;
  /** Threads per block. */
  readonly threads: number;
  /** Bytes of dynamic shared memory. */
  readonly sharedBytes: number;
}

/** What a launch moves and computes, for plans and rooflines: each byte of an operand counted once. */
export interface Traffic {
  readonly weightBytes: number;
  /** Other operands read; for attention, with the cache full. */
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly flops: number;
}

/** One kernel launch: a step of the launch plan. */
export interface Launch {
  /** `KernelSource.entry`. */
  readonly kernel: string;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly args: readonly KernelArgument[];
  /** Labels of the graph nodes it computes, joined. */
  readonly label: string;
  readonly traffic: Traffic;
  /** Index of the fused graph's group it computes; absent for the launch that ends a run. */
  readonly group?: number | undefined;
  /** Of a kernel that can be configured in several ways with the same results. */
  readonly tunable?: Tunable | undefined;
}

/** Configurations of a kernel that compute the same bits. */
export interface Tunable {
  /** What it is called in `Tuning.choices`. */
  readonly key: string;
  readonly chosen: string;
  /** The first is the one taken without a tuning. */
  readonly candidates: readonly string[];
}

/** Which configurations a device runs fastest. Never changes a result. */
export interface Tuning {
  /** By `Tunable.key` one of its candidates; any other text stands for the first. */
  readonly choices: Readonly<Record<string, string>>;
}

/** An output of the graph, at a byte offset from the start of a ring slot. */
export interface RingField {
  readonly name: string;
  readonly dtype: DType;
  readonly elements: number;
  readonly offset: number;
}

export interface Program {
  readonly name: string;
  readonly dims: DimBindings;
  readonly kernels: readonly KernelSource[];
  readonly buffers: readonly Buffer[];
  /** In stream order. */
  readonly launches: readonly Launch[];
  /** Bytes of the arena that `scratch` offsets point into. */
  readonly arenaBytes: number;
  /**
   * The last launch writes the outputs into slot `number % slots` of the ring, `number` being how
   * many slots the session has filled before (state `ring.number`, i32[1]), then fences, then
   * writes `number + 1` as the u32 at the slot's start. Slots are 16-byte aligned.
   */
  readonly ring: { readonly slotBytes: number; readonly fields: readonly RingField[] };
}

/**
 * Slots of a ring whose slots have this size: as many as a loop of runs may fill without the host,
 * few where outputs are large. Programs with slots of several sizes share one memory by turns.
 */
export function ringSlots(slotBytes: number): number {
  return Math.max(4, Math.min(64, Math.floor(2 ** 17 / slotBytes)));
}

/** What code is generated for. */
export interface Target {
  /** Compute capability without the dot: 80, 89, 90. */
  readonly capability: number;
  /** NVRTC's `--gpu-architecture`: `sm_80`, `sm_90a`. */
  readonly arch: string;
  readonly nvrtcMajor: number;
  readonly multiprocessors: number;
  /**
   * `stored`: what enters a matrix product is rounded to the type of 16-bit weights and goes
   * through tensor cores. `f32`: activations and caches stay f32, products on CUDA cores.
   */
  readonly activations: "stored" | "f32";
  readonly tuning?: Tuning | undefined;
}

/** A kernel that turns rows of a weight as files have them into the packed layout. */
export interface PackKernel extends KernelSource {
  /**
   * Grid for `rows` rows. Arguments: source pointer, destination pointer, i32 first row (a multiple
   * of 16), i32 rows. The source holds the rows from the first on, row-major; the destination is the
   * whole packed weight, of which the rows' tiles are written, padding included.
   */
  grid(rows: number): readonly [number, number, number];
}

/** What a synthetic weight holds: normally distributed numbers of mean 0, or one number everywhere. */
export type SyntheticValues =
  | { readonly kind: "normal"; readonly scale: number; readonly seed: number }
  | { readonly kind: "constant"; readonly value: number };

/** Writes elements of a synthetic weight, row-major; buffer 0 of its arguments is where to. */
export interface FillCall {
  readonly kernel: KernelSource;
  readonly launch: Launch;
}

/** The code generator as the runtime sees it; src/api joins the two. */
export interface ProgramCompiler {
  compile(graph: Graph, dims: DimBindings, target: Target): Program;
  pack(dtype: FloatDType, outputs: number, inputs: number): PackKernel;
  /**
   * What ends a run when runs repeat on the device, in one block. Arguments: u64 handle of the
   * graph's condition, pointers to the loop's block and signals (loop-block.ts) and to the states
   * `length` i32[1] and `history` i32[capacity].
   */
  loop?(): KernelSource;
  /** `elements` elements of a synthetic weight from the row-major index `first` on. */
  fill?(dtype: FloatDType, values: SyntheticValues, first: number, elements: number): FillCall;
}

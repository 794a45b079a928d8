import type { DType } from "../../ir/dtype.ts";
import type { Access, TensorMap } from "../../ir/program.ts";
import { HydrantError } from "../../util/errors.ts";
import { JsonFields } from "../../util/json-fields.ts";

/** Says what a `spec.json` is, and in which form. */
export const kernelSpecFormat = "hydrant-kernel-1";

/**
 * `spec.json` of a kernel's folder: all it takes to compile the kernel and to launch it by itself.
 * Sizes are in bytes.
 */
export interface KernelSpec {
  readonly format: typeof kernelSpecFormat;
  /** Symbol of the kernel, `extern "C"`. */
  readonly entry: string;
  readonly family: string;
  /** `sm_90a`. */
  readonly arch: string;
  /** As NVRTC takes them, the architecture among them; `kernel.cu` needs no headers. */
  readonly compileOptions: readonly string[];
  /** Threads per block. */
  readonly threads: number;
  readonly dynamicSharedBytes: number;
  /** Blocks of a cluster, where the kernel's attribute asks for clusters; it says so itself. */
  readonly cluster?: readonly [x: number, y: number, z: number] | undefined;
  /** Extents the program was made for: `{capacity: 2112}`. */
  readonly dims: Readonly<Record<string, number>>;
  /** What a `ring` argument points to: memory of `slots` times `slotBytes`. */
  readonly ring: { readonly slots: number; readonly slotBytes: number };
  /** One of each kind, in stream order. */
  readonly launches: readonly LaunchSpec[];
}

/** Launches of one grid with arguments of the same sizes and the same numbers. */
export interface LaunchSpec {
  /** Of the first of them: the labels of the nodes it computes. */
  readonly label: string;
  /** Index of the first among the program's launches. */
  readonly index: number;
  /** How many there are. */
  readonly count: number;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly weightBytes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly flops: number;
  /** In the order of the kernel's signature. */
  readonly args: readonly ArgumentSpec[];
}

export type ArgumentSpec = { readonly name: string } & (
  | { readonly type: "buffer"; readonly access: Access; readonly buffer: BufferSpec }
  /** A structure of pointers, passed by value. */
  | { readonly type: "table"; readonly access: Access; readonly buffers: readonly BufferSpec[] }
  /** A CUtensorMap of the buffer, passed by value at a multiple of 128. */
  | {
      readonly type: "tensor-map";
      readonly access: "read";
      readonly buffer: BufferSpec;
      readonly map: TensorMap;
    }
  | { readonly type: "i32" | "f32"; readonly value: number }
  /** Pointer to the ring of output slots. */
  | { readonly type: "ring" }
);

export interface BufferSpec {
  /** Index among the program's buffers: arguments with one id are one memory. */
  readonly id: number;
  readonly kind: "parameter" | "constant" | "input" | "state" | "scratch" | "counter";
  /** Name of the parameter, input or state: `kv.0.k`, `length`. */
  readonly name?: string | undefined;
  /** The value's label in the graph. */
  readonly label: string;
  readonly dtype: DType;
  /** Of a parameter, an input or a state: the tensor's extents, `[outputs, inputs]` for a weight. */
  readonly shape?: readonly number[] | undefined;
  /** Elements of the tensor, without the padding of a packed weight. */
  readonly elements: number;
  /** Memory, padding included. */
  readonly bytes: number;
  /** Content of a constant, base64. */
  readonly data?: string | undefined;
}

/**
 * Reads what `saveInspection` wrote.
 * @throws HydrantError `inspect/spec` for text that is no kernel's spec.
 */
export function parseKernelSpec(text: string, file: string): KernelSpec {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw notSpec(file, `Not JSON: ${error instanceof Error ? error.message : String(error)}.`);
  }
  if (!isKernelSpec(value, file)) throw notSpec(file, `It does not say "${kernelSpecFormat}".`);
  return value;
}

/** The rest is taken as written: the file is ours, and its format has a number. */
function isKernelSpec(value: unknown, file: string): value is KernelSpec {
  const fields = new JsonFields(value, file);
  return fields.raw("format") === kernelSpecFormat && Array.isArray(fields.raw("launches"));
}

function notSpec(file: string, message: string): HydrantError {
  return new HydrantError("inspect/spec", message, {
    path: file,
    hint: "Write the kernel's folder anew with `hydra inspect --out DIR`.",
  });
}

/**
 * The structures of cuda.h that launches and graphs take, written field by field into memory whose
 * address is known. Offsets are those of the 64-bit Linux ABI; the tests compile a C program
 * against the real header to check every one of them.
 */
import type { TensorMap } from "../../src/ir/program.ts";
import {
  type ConditionalKind,
  type Dim3,
  type KernelLaunch,
  type Stream,
  TENSOR_MAP_ALIGN,
  TENSOR_MAP_BYTES,
} from "./driver.ts";
import type { PackedArgs } from "./kernel-args.ts";

/** Bytes of native memory with their address: what a structure is written into. */
export interface NativeMemory {
  /** A multiple of `TENSOR_MAP_ALIGN`. */
  readonly address: number;
  /** The same bytes twice: making a typed array costs as much as a whole launch. */
  readonly view: DataView;
  readonly bytes: Uint8Array;
}

/** The most bytes of arguments a kernel can take (CUDA 12.1 on sm_70 and newer). */
export const MAX_ARGUMENT_BYTES = 32764;

// Where each structure lies in the scratch memory of a driver.
const ARGUMENTS = 0;
const ARGUMENT_TABLE = 32768;
const LAUNCH_CONFIG = ARGUMENT_TABLE + 8192 * 8;
const LAUNCH_ATTRIBUTES = LAUNCH_CONFIG + 64;
const NODE_PARAMS = LAUNCH_ATTRIBUTES + 4 * 72;
const TENSOR_MAP = Math.ceil((NODE_PARAMS + 256) / TENSOR_MAP_ALIGN) * TENSOR_MAP_ALIGN;
export const SCRATCH_BYTES = TENSOR_MAP + TENSOR_MAP_BYTES;

const ATTRIBUTE_BYTES = 72;
export const LAUNCH_ATTRIBUTE_COOPERATIVE = 2;
export const LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4;
export const LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6;
const NODE_TYPE_CONDITIONAL = 13;
const CONDITIONAL_TYPES: Record<ConditionalKind, number> = { if: 0, while: 1, switch: 2 };

/** In two halves: BigInts would be garbage of every launch. */
function setAddress(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 2 ** 32, true);
  view.setUint32(offset + 4, value / 2 ** 32, true);
}

function setDim3(view: DataView, offset: number, { x, y, z }: Dim3): void {
  view.setUint32(offset, x, true);
  view.setUint32(offset + 4, y, true);
  view.setUint32(offset + 8, z, true);
}

/** Copies the arguments and returns the address of the `void **kernelParams` table over them. */
export function writeArguments(memory: NativeMemory, args: PackedArgs): number {
  const { address, view, bytes } = memory;
  bytes.set(args.bytes, ARGUMENTS);
  let entry = ARGUMENT_TABLE;
  for (const offset of args.offsets) {
    setAddress(view, entry, address + ARGUMENTS + offset);
    entry += 8;
  }
  return address + ARGUMENT_TABLE;
}

/** Writes a `CUlaunchConfig` with its attributes and returns its address. */
export function writeLaunchConfig(
  memory: NativeMemory,
  kernel: KernelLaunch,
  stream: Stream,
): number {
  const { address, view } = memory;
  const at = LAUNCH_CONFIG;
  setDim3(view, at, kernel.grid);
  setDim3(view, at + 12, kernel.block);
  view.setUint32(at + 24, kernel.sharedBytes ?? 0, true);
  setAddress(view, at + 32, stream);
  setAddress(view, at + 40, address + LAUNCH_ATTRIBUTES);
  view.setUint32(at + 48, writeLaunchAttributes(memory, kernel), true);
  return address + at;
}

/** Writes `CUlaunchAttribute`s from the start of their array and returns how many. */
function writeLaunchAttributes(memory: NativeMemory, kernel: KernelLaunch): number {
  const { view, bytes } = memory;
  let count = 0;
  const next = (id: number): number => {
    const at = LAUNCH_ATTRIBUTES + count++ * ATTRIBUTE_BYTES;
    bytes.fill(0, at, at + ATTRIBUTE_BYTES);
    view.setUint32(at, id, true);
    return at + 8;
  };
  if (kernel.cluster !== undefined) {
    setDim3(view, next(LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION), kernel.cluster);
  }
  if (kernel.programmatic === true) {
    view.setInt32(next(LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION), 1, true);
  }
  if (kernel.cooperative === true) {
    view.setInt32(next(LAUNCH_ATTRIBUTE_COOPERATIVE), 1, true);
  }
  return count;
}

/** The attributes a kernel node keeps, as (id, address of the `CUlaunchAttributeValue`) pairs. */
export function writeNodeAttributes(
  memory: NativeMemory,
  kernel: KernelLaunch,
): readonly { readonly id: number; readonly address: number }[] {
  const count = writeLaunchAttributes(memory, kernel);
  return Array.from({ length: count }, (_, index) => {
    const at = LAUNCH_ATTRIBUTES + index * ATTRIBUTE_BYTES;
    return { id: memory.view.getUint32(at, true), address: memory.address + at + 8 };
  });
}

/** Writes `CUDA_KERNEL_NODE_PARAMS_v2` and returns its address. */
export function writeKernelNodeParams(memory: NativeMemory, kernel: KernelLaunch): number {
  const { address, view } = memory;
  const at = NODE_PARAMS;
  setAddress(view, at, kernel.function);
  setDim3(view, at + 8, kernel.grid);
  setDim3(view, at + 20, kernel.block);
  view.setUint32(at + 32, kernel.sharedBytes ?? 0, true);
  setAddress(view, at + 40, writeArguments(memory, kernel.args));
  setAddress(view, at + 48, 0); // extra
  setAddress(view, at + 56, 0); // kern: the function is given
  setAddress(view, at + 64, 0); // ctx: the current one
  return address + at;
}

/** Writes `CUgraphNodeParams` of a conditional node and returns its address. */
export function writeConditionalNodeParams(
  memory: NativeMemory,
  conditional: {
    readonly kind: ConditionalKind;
    readonly handle: bigint;
    readonly bodies: number;
  },
  context: number,
): number {
  const { address, view, bytes } = memory;
  // All reserved bytes must be zero.
  bytes.fill(0, NODE_PARAMS, NODE_PARAMS + 256);
  view.setInt32(NODE_PARAMS, NODE_TYPE_CONDITIONAL, true);
  const at = NODE_PARAMS + 16;
  view.setBigUint64(at, conditional.handle, true);
  view.setInt32(at + 8, CONDITIONAL_TYPES[conditional.kind], true);
  view.setUint32(at + 12, conditional.bodies, true);
  setAddress(view, at + 24, context);
  return address + NODE_PARAMS;
}

const TENSOR_MAP_TYPES: Record<TensorMap["dtype"], number> = { f16: 6, bf16: 9 };
const SWIZZLE_128B = 3;
const PROMOTION_L2_256B = 3;

/**
 * What `cuTensorMapEncodeTiled` takes, but for the address of the matrix. Dimensions are counted
 * from the innermost; boxes are 128 bytes wide, the width of the swizzle.
 */
export function tensorMapParams(memory: NativeMemory, map: TensorMap) {
  return {
    map: memory.address + TENSOR_MAP,
    type: TENSOR_MAP_TYPES[map.dtype],
    rank: 2,
    dimensions: BigUint64Array.of(BigInt(map.columns), BigInt(map.rows)),
    strides: BigUint64Array.of(BigInt(map.columns * 2)),
    box: Uint32Array.of(64, map.boxRows),
    steps: Uint32Array.of(1, 1),
    interleave: 0,
    swizzle: SWIZZLE_128B,
    promotion: PROMOTION_L2_256B,
    fill: 0, // Zeros.
  };
}

/** The map the driver wrote last. */
export function readTensorMap({ bytes }: NativeMemory): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes.subarray(TENSOR_MAP, TENSOR_MAP + TENSOR_MAP_BYTES));
}

/** Address of the array of body graphs the driver left in the parameters just used. */
export function readConditionalBodies(memory: NativeMemory): number {
  return Number(memory.view.getBigUint64(NODE_PARAMS + 16 + 16, true));
}

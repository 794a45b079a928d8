import { invariant } from "../../src/util/errors.ts";
import type { DevicePtr } from "./driver.ts";

/** One kernel argument. `bytes` is a structure passed by value, with the alignment of its C type. */
export type KernelArg =
  | { readonly type: "ptr"; readonly value: DevicePtr }
  | { readonly type: "i8" | "u8" | "i16" | "u16" | "i32" | "u32"; readonly value: number }
  | { readonly type: "f32" | "f64"; readonly value: number }
  | { readonly type: "i64" | "u64"; readonly value: number | bigint }
  | { readonly type: "bytes"; readonly value: Uint8Array; readonly align: number };

/**
 * Arguments laid out as the kernel's parameter block: each at the next multiple of its alignment,
 * little-endian. `bytes` may be patched in place between launches: every launch copies it.
 */
export interface PackedArgs {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Byte offset of each argument in `bytes`. */
  readonly offsets: readonly number[];
  /** Byte size of each argument. */
  readonly sizes: readonly number[];
}

export const NO_ARGS: PackedArgs = { bytes: new Uint8Array(0), offsets: [], sizes: [] };

/** Lays `args` out in declaration order, the layout nvcc and NVRTC give a `__global__` signature. */
export function packArgs(args: readonly KernelArg[]): PackedArgs {
  const offsets: number[] = [];
  const sizes: number[] = [];
  let end = 0;
  for (const arg of args) {
    const size = argSize(arg);
    const align = arg.type === "bytes" ? arg.align : size;
    const offset = Math.ceil(end / align) * align;
    offsets.push(offset);
    sizes.push(size);
    end = offset + size;
  }
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  for (const [index, arg] of args.entries()) {
    const offset = offsets[index];
    invariant(offset !== undefined, "every argument has an offset");
    writeArg(view, offset, arg);
  }
  return { bytes, offsets, sizes };
}

function argSize(arg: KernelArg): number {
  switch (arg.type) {
    case "i8":
    case "u8":
      return 1;
    case "i16":
    case "u16":
      return 2;
    case "i32":
    case "u32":
    case "f32":
      return 4;
    case "ptr":
    case "i64":
    case "u64":
    case "f64":
      return 8;
    case "bytes":
      return arg.value.byteLength;
    default:
      return arg satisfies never;
  }
}

function writeArg(view: DataView, offset: number, arg: KernelArg): void {
  switch (arg.type) {
    case "i8":
    case "u8":
      view.setUint8(offset, arg.value);
      return;
    case "i16":
    case "u16":
      view.setUint16(offset, arg.value, true);
      return;
    case "i32":
    case "u32":
      view.setUint32(offset, arg.value, true);
      return;
    case "ptr":
    case "i64":
    case "u64":
      view.setBigUint64(offset, BigInt.asUintN(64, BigInt(arg.value)), true);
      return;
    case "f32":
      view.setFloat32(offset, arg.value, true);
      return;
    case "f64":
      view.setFloat64(offset, arg.value, true);
      return;
    case "bytes":
      new Uint8Array(view.buffer).set(arg.value, offset);
      return;
    default:
      arg satisfies never;
  }
}

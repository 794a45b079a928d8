/**
 * Tensor maps of the emulated device. What a map holds is known to its driver and its hardware only;
 * here it is the description itself, sealed, so that bytes which are no map are told apart.
 */
import type { TensorMap } from "../../../src/ir/program.ts";
import { cudaError } from "../../driver/check.ts";
import { type DevicePtr, TENSOR_MAP_BYTES } from "../../driver/driver.ts";
import { tagged } from "../layout.ts";

/** Elements of a box's row: 128 bytes, the width of the swizzle. */
export const BOX_COLUMNS = 64;

export interface PlacedMap extends TensorMap {
  /** Linear address of the matrix. */
  readonly base: number;
}

const SEAL = 0x5eed7a9b;
const FIELD = { address: 0, rows: 8, columns: 16, boxRows: 24, dtype: 28, seal: 124 };

/** The limits of `cuTensorMapEncodeTiled`, as far as these maps can reach them. */
function refusal(address: number, { rows, columns, boxRows }: TensorMap): string | undefined {
  const isExtent = (n: number): boolean => Number.isInteger(n) && n >= 1 && n <= 2 ** 32;
  if (address % 16 !== 0) return `the address 0x${address.toString(16)} is no multiple of 16`;
  if (!isExtent(rows) || !isExtent(columns)) return `the matrix is [${rows}, ${columns}]`;
  if (columns % 8 !== 0)
    return `rows of ${columns} elements do not all begin at multiples of 16 bytes`;
  if (!Number.isInteger(boxRows) || boxRows < 1 || boxRows > 256) return `boxes of ${boxRows} rows`;
  return undefined;
}

/** Throws `cuda/invalid-value` for what the real driver refuses. */
export function encodeTensorMap(address: DevicePtr, map: TensorMap): Uint8Array<ArrayBuffer> {
  const why = refusal(address, map);
  if (why !== undefined) throw cudaError("CUDA_ERROR_INVALID_VALUE", "cuTensorMapEncodeTiled", why);
  const bytes = new Uint8Array(TENSOR_MAP_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(FIELD.address, BigInt(address), true);
  view.setBigUint64(FIELD.rows, BigInt(map.rows), true);
  view.setBigUint64(FIELD.columns, BigInt(map.columns), true);
  view.setUint32(FIELD.boxRows, map.boxRows, true);
  view.setUint32(FIELD.dtype, map.dtype === "bf16" ? 1 : 0, true);
  view.setUint32(FIELD.seal, sealOf(view), true);
  return bytes;
}

/** The map at an address of linear memory, or undefined where `encodeTensorMap` made none. */
export function decodeTensorMap(buffer: ArrayBuffer, at: number): PlacedMap | undefined {
  if (at < 0 || at + TENSOR_MAP_BYTES > buffer.byteLength) return undefined;
  const view = new DataView(buffer, at, TENSOR_MAP_BYTES);
  if (view.getUint32(FIELD.seal, true) !== sealOf(view)) return undefined;
  return {
    base: Number(view.getBigUint64(FIELD.address, true)) - tagged(0),
    rows: Number(view.getBigUint64(FIELD.rows, true)),
    columns: Number(view.getBigUint64(FIELD.columns, true)),
    boxRows: view.getUint32(FIELD.boxRows, true),
    dtype: view.getUint32(FIELD.dtype, true) === 1 ? "bf16" : "f16",
  };
}

function sealOf(view: DataView): number {
  let seal = SEAL;
  for (let at = 0; at < FIELD.seal; at += 4)
    seal = (Math.imul(seal ^ view.getUint32(at, true), 0x01000193) ^ (seal >>> 15)) >>> 0;
  return seal;
}

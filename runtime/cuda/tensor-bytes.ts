import { type DType, isFloat } from "../../src/ir/dtype.ts";
import { decodeFloats, encodeFloats } from "../../src/ir/float-formats.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { TensorData } from "../executor.ts";

/** A copy of stored elements; floats widened to f32. */
export function decodeTensor(dtype: DType, bytes: Uint8Array): TensorData {
  switch (dtype) {
    // The copy of the bytes starts at an aligned place.
    case "f32":
      return new Float32Array(bytes.slice().buffer);
    case "i32":
      return new Int32Array(bytes.slice().buffer);
    case "u64":
      return new BigUint64Array(bytes.slice().buffer);
    default:
      return decodeFloats(dtype, bytes);
  }
}

/**
 * The bytes of numbers as elements of a type, rounded to nearest even. Not a copy where none is needed.
 * @throws HydrantError `executor/input` when they are of another kind.
 */
export function encodeTensor(dtype: DType, data: TensorData): Uint8Array {
  const isSame =
    (dtype === "f32" && data instanceof Float32Array) ||
    (dtype === "i32" && data instanceof Int32Array) ||
    (dtype === "u64" && data instanceof BigUint64Array);
  if (isSame) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (isFloat(dtype) && data instanceof Float32Array) return encodeFloats(dtype, data);
  throw new HydrantError("executor/input", `A ${data.constructor.name} cannot fill ${dtype}.`);
}

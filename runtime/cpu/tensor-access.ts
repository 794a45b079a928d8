import { byteSize, type DType, isFloat } from "../../src/ir/dtype.ts";
import { decodeFloats, toBf16, toF16 } from "../../src/ir/float-formats.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { TensorData } from "../executor.ts";
import type { Arena } from "./arena.ts";

/** A copy of `count` elements in memory; floats widened to f32. */
export function readTensor(arena: Arena, dtype: DType, address: number, count: number): TensorData {
  switch (dtype) {
    case "f32":
      return arena.f32(address, count).slice();
    case "i32":
      return arena.i32(address, count).slice();
    case "u64":
      return arena.u64(address, count).slice();
    default:
      return decodeFloats(dtype, arena.bytes(address, count * byteSize(dtype)));
  }
}

/** Stores numbers as elements of a type, rounded to nearest even. @throws HydrantError `executor/input` when they are of another kind. */
export function writeTensor(arena: Arena, dtype: DType, address: number, data: TensorData): void {
  if (dtype === "i32" && data instanceof Int32Array) arena.i32(address, data.length).set(data);
  else if (dtype === "u64" && data instanceof BigUint64Array)
    arena.u64(address, data.length).set(data);
  else if (dtype === "f32" && data instanceof Float32Array)
    arena.f32(address, data.length).set(data);
  else if (isFloat(dtype) && data instanceof Float32Array) {
    const bits = new Uint16Array(arena.memory.buffer, address, data.length);
    const encode = dtype === "bf16" ? toBf16 : toF16;
    for (const [index, value] of data.entries()) bits[index] = encode(value);
  } else {
    throw new HydrantError("executor/input", `A ${data.constructor.name} cannot fill ${dtype}.`);
  }
}

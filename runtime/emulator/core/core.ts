/** The functions every translated kernel may call, compiled once per emulator. */
import { ModuleBuilder, type ValueType } from "../../wasm/wasm.ts";
import { addAccessChecks } from "./access.ts";
import { addAccessPatterns } from "./access-patterns.ts";
import { addBitTricks } from "./bit-tricks.ts";
import { addFloatBits } from "./float-bits.ts";
import { addFloatMath } from "./float-math.ts";
import { hasFusedMultiplyAdd } from "../../wasm/fused.ts";
import { addGenericAddresses } from "./generic-address.ts";
import { addMatrix, MATRIX_TYPES } from "./matrix.ts";
import { addWgmma } from "./wgmma.ts";

const V = "v128" as const;
type Types = readonly ValueType[];

/** Signatures of the core functions, by name. */
export const CORE: Readonly<Record<string, { readonly params: Types; readonly results: Types }>> = {
  f16ToF32: { params: [V], results: [V] },
  f32ToF16: { params: [V], results: [V] },
  f32ToBf16: { params: [V], results: [V] },
  fma32: { params: [V, V, V], results: [V] },
  ex2: { params: [V], results: [V] },
  lg2: { params: [V], results: [V] },
  rsqrt: { params: [V], results: [V] },
  fmaDirected: { params: ["f32", "f32", "f32", "i32"], results: ["f32"] },
  roundDirected: { params: ["f64", "i32"], results: ["f32"] },
  mulHighS64: { params: ["i64", "i64"], results: ["i64"] },
  mulHighU64: { params: ["i64", "i64"], results: ["i64"] },
  brev: { params: ["i32"], results: ["i32"] },
  prmt: { params: ["i32", "i32", "i32"], results: ["i32"] },
  bfeS32: { params: ["i32", "i32", "i32"], results: ["i32"] },
  bfeU32: { params: ["i32", "i32", "i32"], results: ["i32"] },
  bfeS64: { params: ["i64", "i32", "i32"], results: ["i64"] },
  bfeU64: { params: ["i64", "i32", "i32"], results: ["i64"] },
  bfi32: { params: ["i32", "i32", "i32", "i32"], results: ["i32"] },
  bfi64: { params: ["i64", "i64", "i32", "i32"], results: ["i64"] },
  ...Object.fromEntries(
    Object.keys(MATRIX_TYPES).flatMap((type) => [
      [`stageA_${type}`, { params: ["i32", "i32", "i32"] as Types, results: [] as Types }],
      [`stageB_${type}`, { params: ["i32", "i32"] as Types, results: [] as Types }],
    ]),
  ),
  resolveShared: { params: ["i32", "i32"], results: ["i32"] },
  resolveGeneric: { params: ["i32", "i32", "i64", "i32"], results: ["i32"] },
  mmaF32: { params: ["i32", "i32", "i32", "i32", "i32", "i32"], results: [] },
  mmaI32: { params: ["i32", "i32", "i32", "i32", "i32", "i32"], results: [] },
  unpackHalves: { params: ["i32", "i32", "i32"], results: [] },
  packHalves: { params: ["i32", "i32", "i32"], results: [] },
  ldmatrix: { params: ["i32", "i32", "i32"], results: [] },
  ldmatrixTrans: { params: ["i32", "i32", "i32"], results: [] },
};

/** Compiles the core over a memory; the exports are the functions of `CORE`. */
export function instantiateCore(
  memory: WebAssembly.Memory,
  options: { readonly fused?: boolean } = {},
): WebAssembly.Exports {
  // Probing may switch relaxed SIMD on, which the kernels that inline it need as well.
  const fused = options.fused ?? hasFusedMultiplyAdd();
  const pages = memory.buffer.byteLength / 65536;
  const key = `${pages} ${fused}`;
  let code = compiled.get(key);
  if (code === undefined) {
    code = new WebAssembly.Module(encodeCore(pages, fused));
    compiled.set(key, code);
  }
  return new WebAssembly.Instance(code, { env: { memory } }).exports;
}

/** By size of the memory and way to multiply and add. */
const compiled = new Map<string, WebAssembly.Module>();

function encodeCore(pages: number, fused: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("env", "memory", { initial: pages, maximum: pages });
  const floats = addFloatBits(module);
  addFloatMath(module, fused);
  addBitTricks(module);
  addWgmma(module, addMatrix(module, floats));
  addGenericAddresses(module);
  addAccessChecks(module);
  addAccessPatterns(module);
  return module.encode() as Uint8Array<ArrayBuffer>;
}

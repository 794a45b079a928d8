/** wgmma's operands in shared memory, read as their descriptors say. */
import type { Expr, FunctionBuilder, Local, ModuleBuilder } from "../../wasm/wasm.ts";
import { callVoid, i32, v128 } from "../../wasm/wasm.ts";
import { MMA_B } from "../layout.ts";
import { MATRIX_TYPES, type MatrixFunctions } from "./matrix.ts";

/** Eight rows of 32 bytes as two fragment registers: after the scratch of `mma`. */
export const TILE = MMA_B + 0x1400;
/** Bytes of a fragment register of a warp. */
export const PIECE = 128;

/** `loadTile`: where the tile goes, the shared window, the offset of the first row there. */
const LOAD = ["to", "window", "from", "rowBytes", "second", "swizzle"] as const;

/**
 * `loadTile(to, window, from, row bytes, second, swizzle)` gathers eight rows of two 16-byte pieces
 * that lie `second` bytes apart: each piece of eight rows is a register of an mma fragment.
 * `swizzle` has the bits of the 16-byte chunk that are xored with address bits 7 and up.
 *
 * `wgmma_TYPE(window, from, row bytes, second, swizzle, even, odd, even, odd)` loads eight columns
 * of B that way and adds their products with the staged A to rows 0 to 7 and 8 to 15 of a warp's
 * accumulators, with the very functions that `mma` calls, so that both give the same bits.
 */
export function addWgmma(module: ModuleBuilder, functions: MatrixFunctions): void {
  const load = loadTile(module);
  for (const [type, perWord] of Object.entries(MATRIX_TYPES)) {
    const f = module.func(`wgmma_${type}`, Array(9).fill("i32"));
    const [window, from, rowBytes, second, swizzle, ...rows] = f.params.map((_, at) =>
      f.param("i32", at),
    );
    const stage = functions.stageB[type];
    if (stage === undefined || window === undefined || from === undefined) continue;
    if (rowBytes === undefined || second === undefined || swizzle === undefined) continue;
    f.do(callVoid(load, TILE, window, from, rowBytes, second, swizzle));
    f.do(callVoid(stage, TILE, 0));
    f.do(callVoid(stage, TILE + PIECE, 4 * perWord * 32));
    const isInteger = type === "s8" || type === "u8";
    const multiply = isInteger ? functions.multiplyI32 : functions.multiplyF32;
    for (const half of [0, 1]) {
      const [even, odd] = rows.slice(2 * half);
      if (even === undefined || odd === undefined) continue;
      f.do(callVoid(multiply, even, odd, even, odd, 8 * half, 8 * perWord));
    }
  }
}

function loadTile(module: ModuleBuilder): FunctionBuilder {
  const f = module.func(
    "loadTile",
    LOAD.map(() => "i32" as const),
  );
  const param = (name: (typeof LOAD)[number]): Local<"i32"> => f.param("i32", LOAD.indexOf(name));
  const [to, from, swizzle] = [param("to"), param("from"), param("swizzle")];
  const swizzled = (at: Expr<"i32">): Expr<"i32"> => {
    const offset = f.let(at);
    const chunk = i32.shl(i32.and(i32.shrU(offset, 7), swizzle), 4);
    return i32.add(param("window"), i32.xor(offset, chunk));
  };
  const end = f.let(i32.add(to, PIECE));
  f.upTo(to, end, 16, () => {
    f.do(v128.store(to, v128.load(swizzled(from))));
    f.do(v128.store(to, v128.load(swizzled(i32.add(from, param("second")))), PIECE));
    f.increment(from, param("rowBytes"));
  });
  return f;
}

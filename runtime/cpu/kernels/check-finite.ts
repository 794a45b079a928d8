import type { FloatDType } from "../../../src/ir/dtype.ts";
import {
  type Callable,
  type Expr,
  i16x8,
  i32,
  i32x4,
  type ModuleBuilder,
  v128,
} from "../../wasm/wasm.ts";

type Vec = Expr<"v128">;

/**
 * Adds `check_finite_{dtype}(address, bytes) → i32`: the byte offset of the first 16-byte vector that
 * holds a NaN or an infinity, or -1. Bytes past the end, up to a whole vector, must be finite too.
 */
export function addCheckFinite(m: ModuleBuilder, dtype: FloatDType): Callable {
  const f = m.func(`check_finite_${dtype}`, ["i32", "i32"], ["i32"]);
  const address = f.param("i32", 0);
  const bytes = f.param("i32", 1);
  const wide = dtype === "f32";
  // NaN and infinity are the numbers whose exponent bits are all ones.
  const exponent = { f32: 0x7f800000, bf16: 0x7f80, f16: 0x7c00 }[dtype];
  const ones = f.let(wide ? i32x4.splat(exponent) : i16x8.splat(exponent));
  const bad = (at: Expr<"i32">, offset: number): Vec => {
    const bits = v128.and(v128.load(at, offset), ones);
    return wide ? i32x4.eq(bits, ones) : i16x8.eq(bits, ones);
  };
  const at = f.let(address);
  const end = f.let(i32.add(address, bytes));
  const fours = f.let(i32.add(address, i32.and(bytes, -64)));
  f.block((found) => {
    f.upTo(at, fours, 64, () => {
      const any = v128.or(v128.or(bad(at, 0), bad(at, 16)), v128.or(bad(at, 32), bad(at, 48)));
      f.brIf(found, v128.anyTrue(any));
    });
  });
  f.upTo(at, end, 16, () => {
    f.if(v128.anyTrue(bad(at, 0)), () => f.return(i32.sub(at, address)));
  });
  f.result(-1);
  return f;
}

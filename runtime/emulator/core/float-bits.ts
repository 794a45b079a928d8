/** Conversions between f32 and the 16-bit formats, on vectors of four 32-bit lanes. */
import type { Expr, FunctionBuilder, ModuleBuilder } from "../../wasm/wasm.ts";
import { f32x4, i32x4, v128 } from "../../wasm/wasm.ts";

type Vec = Expr<"v128">;
const splat = (value: number): Vec => i32x4.const(value, value, value, value);

/** `bf16` in the low 16 bits of each lane → f32. Exact. */
export function bf16ToF32(value: Vec): Vec {
  return i32x4.shl(value, 16);
}

/** Adds the (v128) → v128 conversions to the module; gives those other functions need. */
export function addFloatBits(module: ModuleBuilder): {
  readonly f16ToF32: FunctionBuilder;
  readonly f32ToF16: FunctionBuilder;
} {
  const define = (name: string, body: (f: FunctionBuilder, x: Vec) => Vec): FunctionBuilder => {
    const f = module.func(name, ["v128"], ["v128"]);
    f.result(body(f, f.param("v128", 0)));
    return f;
  };

  // Shifted into place, an f16 read as f32 is its value times 2⁻¹¹²: one exact multiplication
  // rebiases normal and subnormal numbers alike. Infinity and NaN get their exponent by hand.
  const f16ToF32 = define("f16ToF32", (f, x) => {
    const magnitude = f.let(v128.and(x, splat(0x7fff)));
    const scaled = f32x4.mul(i32x4.shl(magnitude, 13), splat(0x77800000));
    const special = v128.or(i32x4.shl(magnitude, 13), splat(0x7f800000));
    const value = v128.bitselect(special, scaled, i32x4.gtU(magnitude, splat(0x7bff)));
    return v128.or(value, i32x4.shl(v128.and(x, splat(0x8000)), 16));
  });

  // Round to nearest even by adding half a unit (and the last kept bit) before cutting; subnormal
  // results let an addition of 0.5 align the bits and the adder do the rounding.
  const f32ToF16 = define("f32ToF16", (f, x) => {
    const magnitude = f.let(v128.and(x, splat(0x7fffffff)));
    const lastBit = v128.and(i32x4.shrU(magnitude, 13), splat(1));
    const normal = i32x4.shrU(
      i32x4.sub(i32x4.add(i32x4.add(magnitude, splat(0xfff)), lastBit), splat(0x38000000)),
      13,
    );
    const subnormal = i32x4.sub(f32x4.add(magnitude, splat(0x3f000000)), splat(0x3f000000));
    const finite = v128.bitselect(subnormal, normal, i32x4.ltU(magnitude, splat(0x38800000)));
    const overflow = v128.bitselect(splat(0x7c00), finite, i32x4.geU(magnitude, splat(0x477ff000)));
    const signed = v128.or(overflow, v128.and(i32x4.shrU(x, 16), splat(0x8000)));
    return v128.bitselect(splat(0x7fff), signed, i32x4.gtU(magnitude, splat(0x7f800000)));
  });

  define("f32ToBf16", (f, x) => {
    const lastBit = v128.and(i32x4.shrU(x, 16), splat(1));
    const rounded = f.let(i32x4.shrU(i32x4.add(i32x4.add(x, splat(0x7fff)), lastBit), 16));
    const isNan = i32x4.gtU(v128.and(x, splat(0x7fffffff)), splat(0x7f800000));
    return v128.bitselect(splat(0x7fff), rounded, isNan);
  });
  return { f16ToF32, f32ToF16 };
}

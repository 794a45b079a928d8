/** Scalar bit operations of PTX that WebAssembly lacks. */
import type { Expr, FunctionBuilder, Local, ModuleBuilder } from "../../wasm/wasm.ts";
import { i32, i64, select } from "../../wasm/wasm.ts";

export function addBitTricks(module: ModuleBuilder): void {
  {
    const f = module.func("brev", ["i32"], ["i32"]);
    let x: Expr<"i32"> = f.param("i32", 0);
    for (const [shift, mask] of [
      [1, 0x55555555],
      [2, 0x33333333],
      [4, 0x0f0f0f0f],
      [8, 0x00ff00ff],
    ] as const) {
      const now = f.let(x);
      x = i32.or(i32.and(i32.shrU(now, shift), mask), i32.shl(i32.and(now, mask), shift));
    }
    f.result(i32.rotl(x, 16));
  }
  {
    const f = module.func("prmt", ["i32", "i32", "i32"], ["i32"]);
    const selector = f.param("i32", 2);
    const bytes = f.let(
      i64.or(i64.extendI32U(f.param("i32", 0)), i64.shl(i64.extendI32U(f.param("i32", 1)), 32n)),
    );
    let result: Expr<"i32"> = i32.const(0);
    for (let at = 0; at < 4; at++) {
      const code = f.let(i32.shrU(selector, 4 * at));
      const byte = f.let(
        i32.wrapI64(i64.and(i64.shrU(bytes, i64.extendI32U(i32.shl(i32.and(code, 7), 3))), 0xffn)),
      );
      // Bit 3 of a selector nibble replicates the sign of the byte instead of the byte.
      const sign = i32.and(i32.shrS(i32.extend8S(byte), 31), 0xff);
      const chosen = select(i32.and(code, 8), sign, byte);
      result = i32.or(result, i32.shl(chosen, 8 * at));
    }
    f.result(result);
  }
  for (const bits of [32, 64] as const) addBitFields(module, bits);
}

/** bfe and bfi. 32-bit forms are computed in 64 bits, where no shift count is out of range. */
function addBitFields(module: ModuleBuilder, bits: 32 | 64): void {
  const type = bits === 32 ? "i32" : "i64";
  const widen = (f: FunctionBuilder, at: number, signed: boolean): Expr<"i64"> => {
    if (bits === 64) return f.param("i64", at);
    const value = f.param("i32", at);
    return signed ? i64.extendI32S(value) : i64.extendI32U(value);
  };
  const narrow = (value: Expr<"i64">): Expr => (bits === 64 ? value : i32.wrapI64(value));
  const atMost63 = (count: Expr<"i32">): Expr<"i64"> =>
    i64.extendI32U(select(i32.gtU(count, 63), i32.const(63), count));
  const ones = (length: Local<"i32">): Expr<"i64"> =>
    select(
      i32.geU(length, 64),
      i64.const(-1n),
      i64.sub(i64.shl(i64.const(1n), i64.extendI32U(length)), 1n),
    );

  for (const signed of [true, false]) {
    const name = `bfe${signed ? "S" : "U"}${bits}`;
    const f = module.func(name, [type, "i32", "i32"], [type]);
    const value = widen(f, 0, signed);
    const position = f.let(i32.and(f.param("i32", 1), 0xff));
    const length = f.let(i32.and(f.param("i32", 2), 0xff));
    if (signed) {
      const moved = i64.shrS(value, atMost63(position));
      const spare = f.let(
        i64.extendI32U(select(i32.geU(length, 64), i32.const(0), i32.sub(64, length))),
      );
      const field = i64.shrS(i64.shl(moved, spare), spare);
      f.result(narrow(select(length, field, i64.const(0n))));
    } else {
      const moved = select(
        i32.gtU(position, 63),
        i64.const(0n),
        i64.shrU(value, i64.extendI32U(position)),
      );
      f.result(narrow(i64.and(moved, ones(length))));
    }
  }
  const f = module.func(`bfi${bits}`, [type, type, "i32", "i32"], [type]);
  const position = f.let(i32.and(f.param("i32", 2), 0xff));
  const length = f.let(i32.and(f.param("i32", 3), 0xff));
  const mask = f.let(
    select(i32.geU(position, bits), i64.const(0n), i64.shl(ones(length), i64.extendI32U(position))),
  );
  const inserted = i64.and(i64.shl(widen(f, 0, false), i64.extendI32U(position)), mask);
  const kept = i64.and(widen(f, 1, false), i64.xor(mask, -1n));
  f.result(narrow(i64.or(inserted, kept)));
}

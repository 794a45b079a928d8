/** Matrix instructions on register rows: ldmatrix, and the multiply-accumulate behind mma. */
import type { Expr, FunctionBuilder, Local, ModuleBuilder } from "../../wasm/wasm.ts";
import { call, f32x4, i8x16, i32, i32x4, v128 } from "../../wasm/wasm.ts";
import { MMA_A, MMA_B } from "../layout.ts";

type Vec = Expr<"v128">;
const splat = (value: number): Vec => i32x4.const(value, value, value, value);

/** How one 32-bit register of a fragment splits into elements, as vectors of f32. */
const EXPANSIONS: Readonly<Record<string, (f16: (x: Vec) => Vec, x: Vec) => readonly Vec[]>> = {
  bf16: (_f16, x) => [i32x4.shl(x, 16), v128.and(x, splat(0xffff0000))],
  f16: (f16, x) => [f16(v128.and(x, splat(0xffff))), f16(i32x4.shrU(x, 16))],
  tf32: (_f16, x) => [v128.and(x, splat(0xffffe000))],
  e5m2: (f16, x) =>
    [0, 1, 2, 3].map((e) => f16(i32x4.shl(v128.and(i32x4.shrU(x, 8 * e), splat(0xff)), 8))),
  e4m3: (_f16, x) => [0, 1, 2, 3].map((e) => e4m3(i32x4.shrU(x, 8 * e))),
  // Integers stay integers: they are multiplied as such.
  s8: (_f16, x) => [0, 1, 2, 3].map((e) => i32x4.shrS(i32x4.shl(x, 24 - 8 * e), 24)),
  u8: (_f16, x) => [0, 1, 2, 3].map((e) => v128.and(i32x4.shrU(x, 8 * e), splat(0xff))),
};

/** e4m3 in the low byte: rebiased as f16 is, by 2¹²⁰; all ones is the only NaN. */
function e4m3(x: Vec): Vec {
  const magnitude = v128.and(x, splat(0x7f));
  const value = f32x4.mul(i32x4.shl(magnitude, 20), splat(0x7b800000));
  const withNan = v128.or(value, i32x4.eq(magnitude, splat(0x7f)));
  return v128.or(withNan, i32x4.shl(v128.and(x, splat(0x80)), 24));
}

/** Types of matrix elements and how many fit a 32-bit register. */
export const MATRIX_TYPES: Readonly<Record<string, number>> = {
  tf32: 1,
  bf16: 2,
  f16: 2,
  e4m3: 4,
  e5m2: 4,
  s8: 4,
  u8: 4,
};

/**
 * `stageA…`, `stageB…` lay a fragment out as f32 in scratch memory; `mmaF32`, `mmaI32` multiply.
 *
 * A fragment register is an 8 × 4 matrix of words (row = lane / 4). In scratch, element e of word
 * w in 8×4-word chunk c has k index (c·E + e)·4 + w: another order of k than the instruction's, the
 * same for both operands. B is stored k-major with its columns split into even and odd ones,
 * because that is how accumulator registers hold them.
 */
export function addMatrix(
  module: ModuleBuilder,
  floats: { readonly f16ToF32: FunctionBuilder; readonly f32ToF16: FunctionBuilder },
): MatrixFunctions {
  const f16 = (x: Vec): Vec => call("v128", floats.f16ToF32, x);
  const stagesOfB = Object.entries(EXPANSIONS).map(([name, expand]) => {
    stageA(module, name, (x) => expand(f16, x));
    return [name, stageB(module, name, (x) => expand(f16, x))] as const;
  });
  const [multiplyF32, multiplyI32] = [multiply(module, "F32"), multiply(module, "I32")];
  ldmatrix(module);
  halfAccumulators(module, f16, (x) => call("v128", floats.f32ToF16, x));
  return { stageB: Object.fromEntries(stagesOfB), multiplyF32, multiplyI32 };
}

/** What wgmma shares with mma. */
export interface MatrixFunctions {
  /** By type. */
  readonly stageB: Readonly<Record<string, FunctionBuilder>>;
  readonly multiplyF32: FunctionBuilder;
  readonly multiplyI32: FunctionBuilder;
}

/** Accumulators in f16 hold the even and the odd column in one register. */
function halfAccumulators(
  module: ModuleBuilder,
  f16: (x: Vec) => Vec,
  toF16: (x: Vec) => Vec,
): void {
  const unpack = module.func("unpackHalves", ["i32", "i32", "i32"]);
  const [from, even, odd] = [0, 1, 2].map((at) => unpack.param("i32", at)) as [
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
  ];
  for (let at = 0; at < 128; at += 16) {
    const words = unpack.let(v128.load(from, at));
    unpack.do(v128.store(even, f16(v128.and(words, splat(0xffff))), at));
    unpack.do(v128.store(odd, f16(i32x4.shrU(words, 16)), at));
  }
  const pack = module.func("packHalves", ["i32", "i32", "i32"]);
  for (let at = 0; at < 128; at += 16) {
    const low = toF16(v128.load(pack.param("i32", 0), at));
    const high = toF16(v128.load(pack.param("i32", 1), at));
    pack.do(v128.store(pack.param("i32", 2), v128.or(low, i32x4.shl(high, 16)), at));
  }
}

/** stageA(row address, first matrix row, first k, k stride in bytes of a matrix row) */
function stageA(module: ModuleBuilder, name: string, expand: (x: Vec) => readonly Vec[]): void {
  const f = module.func(`stageA_${name}`, ["i32", "i32", "i32"]);
  const from = f.param("i32", 0);
  const to = f.let(i32.add(f.param("i32", 1), MMA_A));
  const rowBytes = f.param("i32", 2);
  const end = f.let(i32.add(from, 128));
  f.upTo(from, end, 16, () => {
    const words = f.let(v128.load(from));
    for (const [e, vector] of expand(words).entries()) f.do(v128.store(to, vector, 16 * e));
    f.increment(to, rowBytes);
  });
}

/** stageB(row address, byte offset of the chunk's first k): transposes 8 columns × 4 words. */
function stageB(
  module: ModuleBuilder,
  name: string,
  expand: (x: Vec) => readonly Vec[],
): FunctionBuilder {
  const f = module.func(`stageB_${name}`, ["i32", "i32"]);
  const from = f.param("i32", 0);
  const to = f.let(i32.add(f.param("i32", 1), MMA_B));
  for (const parity of [0, 1]) {
    const columns = [0, 1, 2, 3].map((n) => f.let(v128.load(from, 16 * (2 * n + parity))));
    for (const [w, words] of transpose(f, columns).entries()) {
      const bound = f.let(words);
      for (const [e, vector] of expand(bound).entries()) {
        f.do(v128.store(to, vector, (4 * e + w) * 32 + 16 * parity));
      }
    }
  }
  return f;
}

/** The 4 × 4 transpose of 32-bit lanes. */
export function transpose(f: { let(value: Vec): Vec }, rows: readonly Vec[]): readonly Vec[] {
  const [a, b, c, d] = rows;
  if (a === undefined || b === undefined || c === undefined || d === undefined) return [];
  const low = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
  const high = [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31];
  const first = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
  const second = [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31];
  const ab0 = f.let(i8x16.shuffle(a, b, low));
  const cd0 = f.let(i8x16.shuffle(c, d, low));
  const ab1 = f.let(i8x16.shuffle(a, b, high));
  const cd1 = f.let(i8x16.shuffle(c, d, high));
  return [
    i8x16.shuffle(ab0, cd0, first),
    i8x16.shuffle(ab0, cd0, second),
    i8x16.shuffle(ab1, cd1, first),
    i8x16.shuffle(ab1, cd1, second),
  ];
}

/**
 * mma(even in, odd in, even out, odd out, first scratch row, k): 8 rows of D = C + A·B, where C and
 * D are given by the register rows of their even and odd columns. Products are summed one k after
 * the other, each sum rounded to f32.
 */
function multiply(module: ModuleBuilder, kind: "F32" | "I32"): FunctionBuilder {
  const lanes = kind === "F32" ? f32x4 : i32x4;
  const f = module.func(`mma${kind}`, ["i32", "i32", "i32", "i32", "i32", "i32"]);
  const [evenIn, oddIn] = [f.param("i32", 0), f.param("i32", 1)];
  const [evenOut, oddOut] = [f.param("i32", 2), f.param("i32", 3)];
  const depth = f.param("i32", 5);
  const rowBytes = f.let(i32.shl(depth, 2));
  const a = f.let(i32.add(i32.mul(f.param("i32", 4), rowBytes), MMA_A));
  const end = f.local("i32");
  const b = f.local("i32");
  const row = f.local("i32");
  const pointers = [a, f.local("i32"), f.local("i32"), f.local("i32")];
  const sums = pointers.map(() => [f.local("v128"), f.local("v128")] as const);
  f.upTo(row, 128, 64, () => {
    for (const [r, [even, odd]] of sums.entries()) {
      f.set(even, v128.load(i32.add(evenIn, row), 16 * r));
      f.set(odd, v128.load(i32.add(oddIn, row), 16 * r));
    }
    for (let r = 1; r < 4; r++) {
      f.set(pointers[r] as Local<"i32">, i32.add(pointers[r - 1] as Local<"i32">, rowBytes));
    }
    f.set(end, i32.add(a, rowBytes));
    f.set(b, i32.const(MMA_B));
    f.upTo(a, end, 4, () => {
      const columns = [v128.load(b), v128.load(b, 16)] as const;
      const even = f.let(columns[0]);
      const odd = f.let(columns[1]);
      for (const [r, [sumEven, sumOdd]] of sums.entries()) {
        const x = f.let(v128.load32Splat(pointers[r] as Local<"i32">));
        f.set(sumEven, lanes.add(sumEven, lanes.mul(x, even)));
        f.set(sumOdd, lanes.add(sumOdd, lanes.mul(x, odd)));
        if (r > 0) f.increment(pointers[r] as Local<"i32">, 4);
      }
      f.increment(b, 32);
    });
    for (const [r, [even, odd]] of sums.entries()) {
      f.do(v128.store(i32.add(evenOut, row), even, 16 * r));
      f.do(v128.store(i32.add(oddOut, row), odd, 16 * r));
    }
    // `a` has moved one row on by itself.
    f.set(a, i32.add(a, i32.mul(rowBytes, 3)));
  });
  return f;
}

/**
 * ldmatrix(to, addresses, shared base): loads one 8 × 8 matrix of 16-bit elements whose row
 * addresses are in eight consecutive lanes; `ldmatrixTrans` transposes it.
 */
function ldmatrix(module: ModuleBuilder): void {
  for (const transposed of [false, true]) {
    const f = module.func(transposed ? "ldmatrixTrans" : "ldmatrix", ["i32", "i32", "i32"]);
    const [to, addresses, base] = [f.param("i32", 0), f.param("i32", 1), f.param("i32", 2)];
    for (let r = 0; r < 8; r++) {
      const address = i32.add(i32.load(addresses, 4 * r), base);
      if (!transposed) f.do(v128.store(to, v128.load(address), 16 * r));
      else {
        const from = f.let(address);
        for (let c = 0; c < 8; c++) {
          f.do(i32.store16(to, i32.load16U(from, 2 * c), 16 * c + 2 * r));
        }
      }
    }
  }
}

/** What the addresses of a full warp look like: nearly all accesses have one of a few forms. */
import {
  type Expr,
  type FunctionBuilder,
  i8x16,
  i32,
  i32x4,
  type Local,
  v128,
} from "../../wasm/wasm.ts";
import { GLOBAL_TAG } from "../layout.ts";

type Vec = Expr<"v128">;
const splat = (value: number): Vec => i32x4.const(value, value, value, value);
const LOW_WORDS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const HIGH_WORDS = LOW_WORDS.map((byte) => byte + 4);
const FIRST_WORD = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3];

export interface Form {
  /** Offset of the first lane. */
  readonly first: Local<"i32">;
  /** All lanes are aligned, within the limit, and of global memory if they should be. */
  readonly isInside: Local<"i32">;
  readonly isUniform: Local<"i32">;
  /** Every quad of lanes has the addresses of the first. */
  readonly isRepeated: Local<"i32">;
  /** The lanes lie side by side in ascending order; those of each quad do. */
  readonly isRow: Local<"i32">;
  readonly hasQuads: Local<"i32">;
}

/**
 * The form an access has; `row` holds the addresses, of which `shift` makes offsets. Forms are told
 * of the offsets' low 32 bits, and mean something where all lanes are inside.
 */
export function formOf(
  f: FunctionBuilder,
  at: Readonly<Record<"row" | "wide" | "isGlobal" | "shift" | "bytes" | "limit", Local<"i32">>>,
): Form {
  const { row, wide, bytes } = at;
  const first = f.let(i32.add(i32.load(row), at.shift));
  const firsts = f.let(i32x4.splat(first));
  const limits = f.let(i32x4.splat(at.limit));
  const odd = f.let(i32x4.splat(i32.sub(bytes, 1)));
  const shifts = f.let(i32x4.splat(at.shift));
  const tags = f.let(splat(GLOBAL_TAG));
  const steps = f.let(i32x4.mul(i32x4.splat(bytes), i32x4.const(0, 1, 2, 3)));
  const expected = f.let(i32x4.add(firsts, steps));
  const step = f.let(i32x4.splat(i32.shl(bytes, 2)));
  const [low, high, quad0] = [f.local("v128"), f.local("v128"), f.local("v128")];
  const nothing = splat(0);
  const [bad, unequal, changed] = [f.let(nothing), f.let(nothing), f.let(nothing)];
  const [elsewhere, apart] = [f.let(nothing), f.let(nothing)];
  for (let quad = 0; quad < 8; quad++) {
    f.if(
      wide,
      () => {
        f.set(low, v128.load(row, 32 * quad));
        f.set(high, v128.load(row, 32 * quad + 16));
        const isOther = v128.xor(i8x16.shuffle(low, high, HIGH_WORDS), tags);
        f.if(at.isGlobal, () => f.set(bad, v128.or(bad, isOther)));
        f.set(low, i8x16.shuffle(low, high, LOW_WORDS));
      },
      () => f.set(low, v128.load(row, 16 * quad)),
    );
    f.set(low, i32x4.add(low, shifts));
    f.set(bad, v128.or(bad, v128.or(i32x4.gtU(low, limits), v128.and(low, odd))));
    f.set(unequal, v128.or(unequal, v128.xor(low, firsts)));
    if (quad === 0) f.set(quad0, low);
    else f.set(changed, v128.or(changed, v128.xor(low, quad0)));
    const inOrder = i32x4.add(i8x16.shuffle(low, low, FIRST_WORD), steps);
    f.set(apart, v128.or(apart, v128.xor(low, inOrder)));
    f.set(elsewhere, v128.or(elsewhere, v128.xor(low, expected)));
    f.set(expected, i32x4.add(expected, step));
  }
  const isNone = (vector: Vec): Local<"i32"> => f.let(i32.eqz(v128.anyTrue(vector)));
  return {
    first,
    isInside: isNone(bad),
    isUniform: isNone(unequal),
    isRepeated: isNone(changed),
    isRow: isNone(elsewhere),
    hasQuads: isNone(apart),
  };
}

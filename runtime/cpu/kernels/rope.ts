import {
  type Expr,
  f32,
  f32x4,
  f64,
  type FunctionBuilder,
  i32,
  select,
  v128,
} from "../../wasm/wasm.ts";
import { kernel } from "./kernel.ts";

/**
 * Cosines and sines of position · inverse frequency, for every layer that turns by the same angles:
 * table f32[rows, 2, half] from positions i32[rows] and frequencies f32[half]. Angles and functions
 * are f64, so positions of any size lose nothing.
 */
export const ropeTable = kernel({
  axis: "rows",
  params: { positions: "i32", frequencies: "i32", table: "i32", half: "i32" },
  body: (f, { positions, frequencies, table, half }, { begin, end }) => {
    const halfBytes = f.let(i32.shl(half, 2));
    const row = f.let(begin);
    f.upTo(row, end, 1, () => {
      const position = f.let(f64.convertI32S(i32.load(i32.add(positions, i32.shl(row, 2)))));
      const to = f.let(i32.add(table, i32.mul(row, i32.shl(halfBytes, 1))));
      const at = f.let(i32.const(0));
      f.upTo(at, halfBytes, 4, () => {
        const angle = f64.mul(position, f64.promoteF32(f32.load(i32.add(frequencies, at))));
        const { cos, sin } = cosAndSin(f, angle);
        f.do(f32.store(i32.add(to, at), f32.demoteF64(cos)));
        f.do(f32.store(i32.add(i32.add(to, at), halfBytes), f32.demoteF64(sin)));
      });
    });
  },
});

/**
 * Turns the pairs (i, i + half) of each head by the row's angles: x, y f32[rows, heads, 2·half]. y may
 * be x. Units of the parallel axis go through the rows of one head before the next head: a split into
 * whole heads is a split of columns.
 */
export const rope = kernel({
  axis: "heads · rows",
  params: { x: "i32", table: "i32", y: "i32", rows: "i32", heads: "i32", half: "i32" },
  body: (f, { x, table, y, rows, heads, half }, { begin, end }) => {
    const halfBytes = f.let(i32.shl(half, 2));
    const headBytes = f.let(i32.shl(half, 3));
    const unit = f.let(begin);
    f.upTo(unit, end, 1, () => {
      const row = f.let(i32.remU(unit, rows));
      const head = f.let(i32.divU(unit, rows));
      const offset = f.let(i32.mul(i32.add(i32.mul(row, heads), head), headBytes));
      const low = f.let(i32.add(x, offset));
      const high = f.let(i32.add(low, halfBytes));
      const toLow = f.let(i32.add(y, offset));
      const toHigh = f.let(i32.add(toLow, halfBytes));
      const cos = f.let(i32.add(table, i32.mul(row, headBytes)));
      const sin = f.let(i32.add(cos, halfBytes));
      const at = f.let(i32.const(0));
      const wholeBytes = f.let(i32.and(halfBytes, -16));
      f.upTo(at, wholeBytes, 16, () => {
        const [a, b] = [low, high].map((address) => f.let(v128.load(i32.add(address, at))));
        const [c, s] = [cos, sin].map((address) => f.let(v128.load(i32.add(address, at))));
        if (!a || !b || !c || !s) return;
        f.do(v128.store(i32.add(toLow, at), f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s))));
        f.do(v128.store(i32.add(toHigh, at), f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s))));
      });
      f.upTo(at, halfBytes, 4, () => {
        const [a, b] = [low, high].map((address) => f.let(f32.load(i32.add(address, at))));
        const [c, s] = [cos, sin].map((address) => f.let(f32.load(i32.add(address, at))));
        if (!a || !b || !c || !s) return;
        f.do(f32.store(i32.add(toLow, at), f32.sub(f32.mul(a, c), f32.mul(b, s))));
        f.do(f32.store(i32.add(toHigh, at), f32.add(f32.mul(b, c), f32.mul(a, s))));
      });
    });
  },
});

/**
 * Cosine and sine within a few 1e-16 for |angle| < 2^30: reduction by π/2 in three parts (Cody and
 * Waite; each product with the quadrant number is exact but for the last), then Taylor polynomials on
 * [-π/4, π/4].
 */
function cosAndSin(f: FunctionBuilder, angle: Expr<"f64">): { cos: Expr<"f64">; sin: Expr<"f64"> } {
  const x = f.let(angle);
  const n = f.let(f64.nearest(f64.mul(x, 2 / Math.PI)));
  // π/2 = 3.1e7 bits of 2^-24, the next 26 bits, and the rest; π/2's double is 6.1e-17 too small.
  const first = Math.floor((Math.PI / 2) * 2 ** 22) / 2 ** 22;
  const second = Math.floor((Math.PI / 2 - first) * 2 ** 44) / 2 ** 44;
  const third = Math.PI / 2 - first - second + 6.123233995736766e-17;
  const r = f.let(x);
  for (const part of [first, second, third]) f.set(r, f64.sub(r, f64.mul(n, part)));
  const square = f.let(f64.mul(r, r));
  // Taylor coefficients 1/k! with alternating signs, highest first.
  const polynomial = (lowest: number, highest: number): Expr<"f64"> => {
    const sum = f.let(f64.const(0));
    for (let k = highest; k >= lowest; k -= 2) {
      const sign = ((k - lowest) / 2) % 2 === 0 ? 1 : -1;
      f.set(sum, f64.add(f64.mul(sum, square), sign / factorial(k)));
    }
    return sum;
  };
  const cosine = f.let(polynomial(0, 16));
  const sine = f.let(f64.mul(r, polynomial(1, 17)));
  const quadrant = f.let(i32.truncSatF64S(n));
  const odd = f.let(i32.and(quadrant, 1));
  const signed = (value: Expr<"f64">, negative: Expr<"i32">): Expr<"f64"> => {
    const kept = f.let(value);
    return select(negative, f64.neg(kept), kept);
  };
  return {
    cos: signed(select(odd, sine, cosine), i32.and(i32.add(quadrant, 1), 2)),
    sin: signed(select(odd, cosine, sine), i32.and(quadrant, 2)),
  };
}

function factorial(k: number): number {
  return k < 2 ? 1 : k * factorial(k - 1);
}

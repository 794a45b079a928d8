import { f32, f32x4, type FunctionBuilder, i32, type Local, v128 } from "../../wasm/wasm.ts";
import { kernel } from "./kernel.ts";
import { horizontalSum, laneMask } from "./vector-math.ts";

type Address = Local<"i32">;

/**
 * y = x / sqrt(mean(x²) + eps) · w for each row; all f32, rows of `width`. y may be x.
 *
 * Order: four running sums of the squares, of the columns with equal index mod 4, then (0 + 2) +
 * (1 + 3).
 */
export const rmsNorm = kernel({
  axis: "rows",
  params: { x: "i32", w: "i32", y: "i32", width: "i32", eps: "f32" },
  body: (f, { x, w, y, width, eps }, { begin, end }) => {
    const rowBytes = f.let(i32.shl(width, 2));
    const row = f.let(begin);
    f.upTo(row, end, 1, () => {
      const from = f.let(i32.add(x, i32.mul(row, rowBytes)));
      const to = f.let(i32.add(y, i32.mul(row, rowBytes)));
      normalizeRow(f, { from, to, w, width, eps });
    });
  },
});

/** One row of `rmsNorm`, for kernels that norm their own input. */
export function normalizeRow(
  f: FunctionBuilder,
  row: { from: Address; to: Address; w: Address; width: Address; eps: Local<"f32"> },
): void {
  const { from, to, w, width, eps } = row;
  const bytes = f.let(i32.shl(width, 2));
  const wholeBytes = f.let(i32.and(bytes, -16));
  const tail = f.let(i32.and(width, 3));
  const sum = f.let(f32x4.const(0, 0, 0, 0));
  const at = f.let(i32.const(0));
  f.upTo(at, wholeBytes, 16, () => {
    const value = f.let(v128.load(i32.add(from, at)));
    f.set(sum, f32x4.add(sum, f32x4.mul(value, value)));
  });
  f.if(tail, () => {
    const value = f.let(v128.and(v128.load(i32.add(from, at)), laneMask(f, tail)));
    f.set(sum, f32x4.add(sum, f32x4.mul(value, value)));
  });
  const mean = f32.div(horizontalSum(f, sum), f32.convertI32U(width));
  const scale = f.let(f32x4.splat(f32.div(1, f32.sqrt(f32.add(mean, eps)))));
  f.set(at, 0);
  f.upTo(at, wholeBytes, 16, () => {
    const value = f32x4.mul(v128.load(i32.add(from, at)), scale);
    f.do(v128.store(i32.add(to, at), f32x4.mul(value, v128.load(i32.add(w, at)))));
  });
  f.upTo(at, bytes, 4, () => {
    const value = f32.mul(f32.load(i32.add(from, at)), f32x4.extractLane(scale, 0));
    f.do(f32.store(i32.add(to, at), f32.mul(value, f32.load(i32.add(w, at)))));
  });
}

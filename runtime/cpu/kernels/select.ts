import { f32, f32x4, type FunctionBuilder, i32, i32x4, type Local, v128 } from "../../wasm/wasm.ts";
import { kernel } from "./kernel.ts";

const lowest = Number.NEGATIVE_INFINITY;

/** ids i32[rows] of the largest of each row of x f32[rows, columns]: the lowest on ties; NaN never wins. */
export const argmax = kernel({
  axis: "rows",
  params: { x: "i32", ids: "i32", columns: "i32" },
  body: (f, { x, ids, columns }, { begin, end }) => {
    const row = f.let(begin);
    const rowBytes = f.let(i32.shl(columns, 2));
    f.upTo(row, end, 1, () => {
      const from = f.let(i32.add(x, i32.mul(row, rowBytes)));
      const whole = f.let(i32.and(columns, -4));
      const best = f.let(f32x4.const(lowest, lowest, lowest, lowest));
      const bestAt = f.let(i32x4.const(0, 0, 0, 0));
      const lanes = f.let(i32x4.const(0, 1, 2, 3));
      const at = f.let(i32.const(0));
      f.upTo(at, whole, 4, () => {
        const value = f.let(v128.load(i32.add(from, i32.shl(at, 2))));
        const larger = f.let(f32x4.gt(value, best));
        f.set(best, v128.bitselect(value, best, larger));
        f.set(bestAt, v128.bitselect(lanes, bestAt, larger));
        f.set(lanes, i32x4.add(lanes, i32x4.const(4, 4, 4, 4)));
      });
      const value = f.let(f32x4.extractLane(best, 0));
      const id = f.let(i32x4.extractLane(bestAt, 0));
      for (const lane of [1, 2, 3]) {
        const other = f.let(f32x4.extractLane(best, lane));
        const otherId = f.let(i32x4.extractLane(bestAt, lane));
        const wins = i32.or(
          f32.gt(other, value),
          i32.and(f32.eq(other, value), i32.ltU(otherId, id)),
        );
        f.if(wins, () => {
          f.set(value, other);
          f.set(id, otherId);
        });
      }
      f.upTo(at, columns, 1, () => {
        const other = f.let(f32.load(i32.add(from, i32.shl(at, 2))));
        f.if(f32.gt(other, value), () => {
          f.set(value, other);
          f.set(id, at);
        });
      });
      f.do(i32.store(i32.add(ids, i32.shl(row, 2)), id));
    });
  },
});

/**
 * The k largest of each row of x f32[rows, columns], descending, ties by lower index: values f32[rows, k]
 * and ids i32[rows, k]. NaN counts as -infinity, in the value given too. k ≤ columns.
 *
 * One pass in ascending order over a sorted list of the best: four elements at a time are compared with
 * the list's last, and hardly ever does one enter.
 */
export const topk = kernel({
  axis: "rows",
  params: { x: "i32", values: "i32", ids: "i32", k: "i32", columns: "i32" },
  body: (f, args, { begin, end }) => {
    const { k, columns } = args;
    const row = f.let(begin);
    f.upTo(row, end, 1, () => {
      const from = f.let(i32.add(args.x, i32.mul(row, i32.shl(columns, 2))));
      const values = f.let(i32.add(args.values, i32.mul(row, i32.shl(k, 2))));
      const ids = f.let(i32.add(args.ids, i32.mul(row, i32.shl(k, 2))));
      const held = f.let(i32.const(0));
      const at = f.let(i32.const(0));
      const last = f.let(f32.const(lowest));
      const offer = (id: Local<"i32">): void => insert(f, { from, values, ids, k, held, last, id });
      f.upTo(at, k, 1, () => offer(at));
      const whole = f.let(i32.sub(columns, 3));
      f.while(i32.ltS(at, whole), () => {
        const four = v128.load(i32.add(from, i32.shl(at, 2)));
        f.if(v128.anyTrue(f32x4.gt(four, f32x4.splat(last))), () => {
          const id = f.let(at);
          const stop = f.let(i32.add(at, 4));
          f.upTo(id, stop, 1, () => offer(id));
        });
        f.increment(at, 4);
      });
      f.upTo(at, columns, 1, () => offer(at));
    });
  },
});

/** Puts element `id` into the sorted list if the list is not full or its last is smaller. */
function insert(
  f: FunctionBuilder,
  state: {
    from: Local<"i32">;
    values: Local<"i32">;
    ids: Local<"i32">;
    k: Local<"i32">;
    held: Local<"i32">;
    last: Local<"f32">;
    id: Local<"i32">;
  },
): void {
  const { from, values, ids, k, held, last, id } = state;
  const value = f.let(f32.load(i32.add(from, i32.shl(id, 2))));
  f.if(f32.ne(value, value), () => f.set(value, lowest));
  f.if(i32.or(i32.ltU(held, k), f32.gt(value, last)), () => {
    f.if(i32.ltU(held, k), () => f.increment(held, 1));
    const place = f.let(i32.shl(i32.sub(held, 1), 2));
    f.block((found) => {
      f.loop((next) => {
        f.brIf(found, i32.eqz(place));
        const before = f.let(f32.load(i32.add(values, i32.sub(place, 4))));
        // Equal values stay before: their ids are lower.
        f.brIf(found, f32.ge(before, value));
        f.do(f32.store(i32.add(values, place), before));
        f.do(i32.store(i32.add(ids, place), i32.load(i32.add(ids, i32.sub(place, 4)))));
        f.increment(place, -4);
        f.br(next);
      });
    });
    f.do(f32.store(i32.add(values, place), value));
    f.do(i32.store(i32.add(ids, place), id));
    f.if(i32.eq(held, k), () => f.set(last, f32.load(i32.add(values, i32.shl(i32.sub(k, 1), 2)))));
  });
}

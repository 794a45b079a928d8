import { byteSize, type FloatDType } from "../../../src/ir/dtype.ts";
import {
  type Expr,
  f32,
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  i64,
  type Local,
  v128,
} from "../../wasm/wasm.ts";
import { kernelErrors } from "./control.ts";
import { kernel, reportError } from "./kernel.ts";
import { exp, horizontalSum, horizontalSums, laneMask, loadWide } from "./vector-math.ts";

type Vec = Expr<"v128">;
type Address = Local<"i32">;

/** Scratch bytes a thread needs: listed slots, one query, the scores. */
export function attentionScratchBytes(slots: number, maskWords: number, width: number): number {
  return 4 * (64 * maskWords + Math.ceil(width / 4) * 4 + slots + 4) + 64;
}

/**
 * Attention of q f32[rows, heads, width] over caches [slots, groups, width] of a float type (see the op
 * `attention`); y like q. `length` points at an i32[1], `mask` at u64[rows, words]; null means
 * causal.
 *
 * A row's arithmetic depends only on the ordered list of slots it sees: list element i is always lane
 * i mod 4 of the sum of weights, and weighted values are added in list order. So a token decoded alone
 * and the same token in a tree give the same bits. Units of the parallel axis go through the rows of
 * one head before the next head: a split into whole heads is a split of columns.
 */
export function attention(cache: FloatDType) {
  return kernel({
    axis: "heads · rows",
    params: {
      q: "i32",
      keys: "i32",
      values: "i32",
      length: "i32",
      mask: "i32",
      words: "i32",
      y: "i32",
      rows: "i32",
      heads: "i32",
      groups: "i32",
      width: "i32",
      slots: "i32",
      scale: "f32",
      scratch: "scratch",
    },
    body: (f, args, { begin, end }, context) => {
      const { q, keys, values, mask, words, y, rows, heads, groups, width, slots, scale } = args;
      const elementBytes = byteSize(cache);
      const length = f.let(i32.load(args.length));
      const rowBytes = f.let(i32.shl(width, 2));
      const slotBytes = f.let(i32.mul(i32.mul(groups, width), elementBytes));
      const headsPerGroup = f.let(i32.divU(heads, groups));
      const list = args.scratch;
      const query = f.let(i32.add(list, i32.shl(words, 8)));
      const scores = f.let(i32.add(query, i32.and(i32.add(rowBytes, 15), -16)));
      const prefix = f.local("i32");
      const listed = f.local("i32");
      const seenRow = f.let(i32.const(-1));
      const shape: Shape = {
        cache,
        width,
        slotBytes,
        query,
        tailMask: laneMask(f, i32.and(width, 3)),
      };

      const unit = f.let(begin);
      f.upTo(unit, end, 1, () => {
        const row = f.let(i32.remU(unit, rows));
        const head = f.let(i32.divU(unit, rows));
        const place = f.let(i32.mul(i32.add(i32.mul(row, heads), head), rowBytes));
        f.if(i32.ne(row, seenRow), () => {
          f.set(seenRow, row);
          f.set(listed, 0);
          f.if(
            mask,
            () => {
              f.set(prefix, length);
              listSlots(
                f,
                { mask, words, row, length, slots, slotBytes, list, listed, prefix },
                (slot) => reportError(f, context, kernelErrors.slotOutOfRange, slot),
              );
            },
            () => f.set(prefix, i32.add(i32.add(length, row), 1)),
          );
          f.if(i32.gtU(prefix, slots), () => {
            reportError(f, context, kernelErrors.slotOutOfRange, prefix);
            f.set(prefix, 0);
            f.set(listed, 0);
          });
        });

        copyQuery(f, i32.add(q, place), query, rowBytes);
        const offset = f.let(i32.mul(i32.mul(i32.divU(head, headsPerGroup), width), elementBytes));
        const count = f.let(i32.add(prefix, listed));
        const base = { prefix, list, listed, scores };
        scoreSlots(f, shape, { ...base, keys: f.let(i32.add(keys, offset)), scale });
        const total = f.let(softmaxNumerators(f, scores, count));
        weighValues(f, shape, {
          ...base,
          values: f.let(i32.add(values, offset)),
          total: f.let(f32x4.splat(total)),
          count,
          to: f.let(i32.add(y, place)),
        });
      });
    },
  });
}

interface Shape {
  readonly cache: FloatDType;
  readonly width: Address;
  readonly slotBytes: Address;
  readonly query: Address;
  readonly tailMask: Vec;
}

interface Slots {
  /** Slots 0 … prefix-1 are seen, then the listed ones: byte offsets in the cache. */
  readonly prefix: Address;
  readonly list: Address;
  readonly listed: Address;
  readonly scores: Address;
}

/** Byte offsets of the slots named by the set bits of a row's words, ascending. */
function listSlots(
  f: FunctionBuilder,
  at: {
    mask: Address;
    words: Address;
    row: Address;
    length: Address;
    slots: Address;
    slotBytes: Address;
    list: Address;
    listed: Address;
    prefix: Address;
  },
  refuse: (slot: Local<"i32">) => void,
): void {
  const word = f.let(i32.const(0));
  const from = f.let(i32.add(at.mask, i32.shl(i32.mul(at.row, at.words), 3)));
  f.upTo(word, at.words, 1, () => {
    const bits = f.let(i64.load(i32.add(from, i32.shl(word, 3))));
    f.while(i64.ne(bits, 0n), () => {
      const slot = f.let(i32.add(i32.add(at.length, i32.shl(word, 6)), i32.wrapI64(i64.ctz(bits))));
      f.if(
        i32.ltU(slot, at.slots),
        () => {
          f.do(i32.store(i32.add(at.list, i32.shl(at.listed, 2)), i32.mul(slot, at.slotBytes)));
          f.increment(at.listed, 1);
        },
        () => refuse(slot),
      );
      f.set(bits, i64.and(bits, i64.sub(bits, 1n)));
    });
  });
}

/** The query to scratch, zeros behind it up to a whole vector. */
function copyQuery(f: FunctionBuilder, from: Expr<"i32">, to: Address, bytes: Address): void {
  const source = f.let(from);
  const at = f.let(i32.and(i32.sub(bytes, 1), -16));
  f.do(v128.store(i32.add(to, at), i32x4.const(0, 0, 0, 0)));
  f.set(at, 0);
  const whole = f.let(i32.and(bytes, -16));
  f.upTo(at, whole, 16, () => f.do(v128.store(i32.add(to, at), v128.load(i32.add(source, at)))));
  f.upTo(at, bytes, 4, () => f.do(f32.store(i32.add(to, at), f32.load(i32.add(source, at)))));
}

/** scores[i] = scale · (query · key of list element i); -infinity up to the next whole vector. */
function scoreSlots(
  f: FunctionBuilder,
  shape: Shape,
  slots: Slots & { keys: Address; scale: Local<"f32"> },
): void {
  const { keys, prefix, list, listed, scores, scale } = slots;
  const to = f.let(scores);
  const key = f.let(keys);
  const store = (address: Address): void => {
    const [sums] = dots(f, shape, [address]);
    if (sums === undefined) return;
    f.do(f32.store(to, f32.mul(horizontalSum(f, sums), scale)));
    f.increment(to, 4);
  };
  const slot = f.let(i32.const(0));
  const fours = f.let(i32.and(prefix, -4));
  f.upTo(slot, fours, 4, () => {
    const addresses = [0, 1, 2, 3].map((at) => f.let(i32.add(key, i32.mul(shape.slotBytes, at))));
    const [a, b, c, d] = dots(f, shape, addresses);
    if (!a || !b || !c || !d) return;
    f.do(v128.store(to, f32x4.mul(horizontalSums(f, [a, b, c, d]), f32x4.splat(scale))));
    f.increment(to, 16);
    f.increment(key, i32.shl(shape.slotBytes, 2));
  });
  f.upTo(slot, prefix, 1, () => {
    store(key);
    f.increment(key, shape.slotBytes);
  });
  const entry = f.let(list);
  const entries = f.let(i32.add(list, i32.shl(listed, 2)));
  f.upTo(entry, entries, 4, () => store(f.let(i32.add(keys, i32.load(entry)))));
  const lowest = Number.NEGATIVE_INFINITY;
  f.do(v128.store(to, f32x4.const(lowest, lowest, lowest, lowest)));
}

/** Dot products of the query with several keys: four partial sums each, by column mod 4. */
function dots(f: FunctionBuilder, shape: Shape, keys: readonly Address[]): Local<"v128">[] {
  const sums = keys.map(() => f.let(f32x4.const(0, 0, 0, 0)));
  const addresses = keys.map((key) => f.let(key));
  const at = f.let(shape.query);
  const whole = f.let(i32.add(shape.query, i32.shl(i32.and(shape.width, -4), 2)));
  const step = (mask?: Vec): void => {
    const x = f.let(v128.load(at));
    for (const [index, address] of addresses.entries()) {
      const sum = sums[index];
      const key = loadWide(f, shape.cache, address);
      if (sum === undefined) continue;
      f.set(sum, f32x4.add(sum, f32x4.mul(x, mask === undefined ? key : v128.and(key, mask))));
    }
  };
  f.upTo(at, whole, 16, () => {
    step();
    for (const address of addresses) f.increment(address, 4 * byteSize(shape.cache));
  });
  f.if(i32.and(shape.width, 3), () => step(shape.tailMask));
  return sums;
}

/** scores[i] = e^(scores[i] - largest); gives their sum. Whole vectors: what is past the end adds 0. */
function softmaxNumerators(f: FunctionBuilder, scores: Address, count: Address): Expr<"f32"> {
  const lowest = Number.NEGATIVE_INFINITY;
  const largest = f.let(f32x4.const(lowest, lowest, lowest, lowest));
  const at = f.let(scores);
  const end = f.let(i32.add(scores, i32.shl(count, 2)));
  f.upTo(at, end, 16, () => f.set(largest, f32x4.max(largest, v128.load(at))));
  const best = f.let(f32x4.extractLane(largest, 0));
  for (const lane of [1, 2, 3]) f.set(best, f32.max(best, f32x4.extractLane(largest, lane)));
  const offset = f.let(f32x4.splat(best));
  const sum = f.let(f32x4.const(0, 0, 0, 0));
  f.set(at, scores);
  f.upTo(at, end, 16, () => {
    const weight = exp(f, f32x4.sub(v128.load(at), offset));
    f.do(v128.store(at, weight));
    f.set(sum, f32x4.add(sum, weight));
  });
  return horizontalSum(f, sum);
}

/** to = Σ weight[i] · value of list element i, added in order, over the total. */
function weighValues(
  f: FunctionBuilder,
  shape: Shape,
  slots: Slots & { values: Address; total: Vec; count: Address; to: Address },
): void {
  const { values, prefix, list, scores, total, count, to } = slots;
  const bytes = byteSize(shape.cache);
  const column = f.let(i32.const(0));
  const weightsEnd = f.let(i32.add(scores, i32.shl(count, 2)));
  const prefixEnd = f.let(i32.add(scores, i32.shl(prefix, 2)));

  const pass = (vectors: number, store: (index: number, value: Vec) => void): void => {
    const start = f.let(i32.add(values, i32.mul(column, bytes)));
    const sums = Array.from({ length: vectors }, () => f.let(f32x4.const(0, 0, 0, 0)));
    const accumulate = (address: Address): void => {
      const weight = f.let(v128.load32Splat(at));
      for (const [index, sum] of sums.entries()) {
        const value = loadWide(f, shape.cache, address, 4 * bytes * index);
        f.set(sum, f32x4.add(sum, f32x4.mul(weight, value)));
      }
    };
    const at = f.let(scores);
    const address = f.let(start);
    f.upTo(at, prefixEnd, 4, () => {
      accumulate(address);
      f.increment(address, shape.slotBytes);
    });
    const entry = f.let(list);
    f.upTo(at, weightsEnd, 4, () => {
      f.set(address, i32.add(start, i32.load(entry)));
      accumulate(address);
      f.increment(entry, 4);
    });
    for (const [index, sum] of sums.entries()) {
      // A row that sees nothing gives zeros, not 0/0.
      f.if(count, () => f.set(sum, f32x4.div(sum, total)));
      store(index, sum);
    }
    f.increment(column, 4 * vectors);
  };
  const target = (index: number): Expr<"i32"> =>
    i32.add(to, i32.add(i32.shl(column, 2), 16 * index));
  for (const vectors of [4, 1]) {
    f.while(i32.leU(i32.add(column, 4 * vectors), shape.width), () =>
      pass(vectors, (index, value) => f.do(v128.store(target(index), value))),
    );
  }
  f.if(i32.ltU(column, shape.width), () =>
    pass(1, (_, value) => {
      const kept = f.let(value);
      const end = f.let(i32.and(shape.width, 3));
      f.do(v128.store32Lane(target(0), kept, 0));
      for (const lane of [1, 2]) {
        f.if(i32.gtU(end, lane), () => f.do(v128.store32Lane(target(0), kept, lane, 4 * lane)));
      }
    }),
  );
}

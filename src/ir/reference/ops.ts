import { roundTo } from "../float-formats.ts";
import { isFloat } from "../dtype.ts";
import { floats, ints, type ReferenceTensor, row, rowSize, words, zeros } from "./tensor.ts";

/*
 * The meaning of each op, written to be read rather than to be fast. Everything is f64; rounding
 * happens only where the op catalogue says a type is narrowed (cast, cache_write).
 */

export function elementwise(
  a: ReferenceTensor,
  b: ReferenceTensor,
  f: (x: number, y: number) => number,
): ReferenceTensor {
  const out = zeros(a.dtype, a.shape);
  const left = a.dtype === "i32" ? ints(a) : floats(a);
  const right = b.dtype === "i32" ? ints(b) : floats(b);
  const target = a.dtype === "i32" ? ints(out) : floats(out);
  for (let i = 0; i < left.length; i++) target[i] = f(at(left, i), at(right, i % right.length));
  return out;
}

export function silu(x: ReferenceTensor): ReferenceTensor {
  return mapFloats(x, x.dtype, (value) => value / (1 + Math.exp(-value)));
}

export function cast(x: ReferenceTensor, to: ReferenceTensor["dtype"]): ReferenceTensor {
  return mapFloats(x, to, (value) => (isFloat(to) ? roundTo(to, value) : value));
}

export function concat(operands: readonly ReferenceTensor[], axis: number): ReferenceTensor {
  const first = operands[0];
  if (first === undefined) throw new RangeError("concat of nothing");
  const extents = operands.map((operand) => operand.shape[axis] ?? 0);
  const shape = first.shape.map((dim, index) =>
    index === axis ? extents.reduce((sum, extent) => sum + extent, 0) : dim,
  );
  const out = zeros(first.dtype, shape);
  const inner = first.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const outer = first.shape.slice(0, axis).reduce((product, dim) => product * dim, 1);
  let to = 0;
  for (let i = 0; i < outer; i++) {
    for (const [index, operand] of operands.entries()) {
      const run = (extents[index] ?? 0) * inner;
      copy(out, to, operand, i * run, run);
      to += run;
    }
  }
  return out;
}

export function gather(
  x: ReferenceTensor,
  index: ReferenceTensor,
  dtype = x.dtype,
): ReferenceTensor {
  const size = rowSize(x);
  const out = zeros(dtype, [index.data.length, ...x.shape.slice(1)]);
  for (const [i, from] of ints(index).entries()) {
    if (from < 0 || from >= (x.shape[0] ?? 0)) throw new RangeError(`row ${from} of ${x.shape[0]}`);
    copy(out, i * size, x, from * size, size);
  }
  return out;
}

export function linear(
  x: ReferenceTensor,
  weight: ReferenceTensor,
  bias?: ReferenceTensor,
): ReferenceTensor {
  const rows = x.shape[0] ?? 0;
  const outputs = weight.shape[0] ?? 0;
  const out = zeros("f32", [rows, outputs]);
  for (let i = 0; i < rows; i++) {
    const input = row(x, i);
    const target = row(out, i);
    for (let n = 0; n < outputs; n++)
      target[n] = dot(input, row(weight, n)) + (bias ? at(floats(bias), n) : 0);
  }
  return out;
}

export function rmsNorm(x: ReferenceTensor, weight: ReferenceTensor, eps: number): ReferenceTensor {
  const out = zeros("f32", x.shape);
  const width = weight.data.length;
  const source = floats(x);
  for (let start = 0; start < source.length; start += width) {
    const slice = source.subarray(start, start + width);
    const scale = 1 / Math.sqrt(dot(slice, slice) / width + eps);
    for (let i = 0; i < width; i++)
      floats(out)[start + i] = at(slice, i) * scale * at(floats(weight), i);
  }
  return out;
}

export function rope(
  x: ReferenceTensor,
  positions: ReferenceTensor,
  inverseFrequencies: ReferenceTensor,
): ReferenceTensor {
  const out = zeros("f32", x.shape);
  const [rows = 0, heads = 0, width = 0] = x.shape;
  const half = width / 2;
  const source = floats(x);
  const target = floats(out);
  for (let t = 0; t < rows; t++) {
    for (let i = 0; i < half; i++) {
      const angle = at(ints(positions), t) * at(floats(inverseFrequencies), i);
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      for (let h = 0; h < heads; h++) {
        const low = (t * heads + h) * width + i;
        target[low] = at(source, low) * cos - at(source, low + half) * sin;
        target[low + half] = at(source, low + half) * cos + at(source, low) * sin;
      }
    }
  }
  return out;
}

export function attention(
  q: ReferenceTensor,
  keys: ReferenceTensor,
  values: ReferenceTensor,
  length: number,
  scale: number,
  mask: ReferenceTensor | undefined,
): ReferenceTensor {
  const out = zeros("f32", q.shape);
  const [rows = 0, heads = 0, width = 0] = q.shape;
  const group = heads / (keys.shape[1] ?? 1);
  const slotSize = rowSize(keys);
  const piece = (tensor: ReferenceTensor, start: number) =>
    floats(tensor).subarray(start, start + width);
  for (let t = 0; t < rows; t++) {
    const slots = visibleSlots(t, length, mask, keys.shape[0] ?? 0);
    for (let h = 0; h < heads; h++) {
      const head = Math.floor(h / group) * width;
      const query = piece(q, (t * heads + h) * width);
      const scores = slots.map((slot) => scale * dot(query, piece(keys, slot * slotSize + head)));
      const largest = scores.reduce((max, score) => Math.max(max, score), Number.NEGATIVE_INFINITY);
      const weights = scores.map((score) => Math.exp(score - largest));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const target = piece(out, (t * heads + h) * width);
      for (const [index, slot] of slots.entries()) {
        const value = piece(values, slot * slotSize + head);
        for (let i = 0; i < width; i++)
          target[i] = at(target, i) + ((weights[index] ?? 0) / total) * at(value, i);
      }
    }
  }
  return out;
}

/** Slots that row `t` of an attention sees, ascending. */
function visibleSlots(
  t: number,
  length: number,
  mask: ReferenceTensor | undefined,
  capacity: number,
): number[] {
  const slots = Array.from({ length: mask ? length : length + t + 1 }, (_, slot) => slot);
  if (mask !== undefined) {
    const perRow = mask.shape[1] ?? 0;
    for (let word = 0; word < perRow; word++) {
      const bits = words(mask)[t * perRow + word] ?? 0n;
      for (let bit = 0; bit < 64; bit++)
        if ((bits >> BigInt(bit)) & 1n) slots.push(length + 64 * word + bit);
    }
  }
  if ((slots.at(-1) ?? 0) >= capacity) throw new RangeError(`slot ${slots.at(-1)} of ${capacity}`);
  return slots;
}

/** In place: `cache` itself is the result. */
export function cacheWrite(
  cache: ReferenceTensor,
  rows: ReferenceTensor,
  start: number,
): ReferenceTensor {
  const size = rowSize(cache);
  if (start < 0 || start * size + rows.data.length > cache.data.length) {
    throw new RangeError(
      `rows ${start} to ${start + (rows.shape[0] ?? 0)} of a cache with ${cache.shape[0]} slots`,
    );
  }
  copy(cache, start * size, cast(rows, cache.dtype), 0, rows.data.length);
  return cache;
}

/** In place. Paths ascend, so no row is read after it was written over. */
export function cacheCommit(
  cache: ReferenceTensor,
  path: ReferenceTensor,
  count: number,
  length: number,
): ReferenceTensor {
  const size = rowSize(cache);
  for (let i = 0; i < count; i++)
    copy(cache, (length + i) * size, cache, (length + at(ints(path), i)) * size, size);
  return cache;
}

export function argmax(values: Float64Array | Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (at(values, i) > at(values, best)) best = i;
  return best;
}

/** Indices of the k largest, descending, ties by lower index. */
export function topk(values: Float64Array, k: number): number[] {
  const order = Array.from(values.keys());
  order.sort((a, b) => at(values, b) - at(values, a) || a - b);
  return order.slice(0, k);
}

function mapFloats(
  x: ReferenceTensor,
  dtype: ReferenceTensor["dtype"],
  f: (value: number) => number,
): ReferenceTensor {
  if (!(x.data instanceof Float64Array)) return x;
  return { dtype, shape: x.shape, data: x.data.map(f) };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += at(a, i) * at(b, i);
  return sum;
}

function copy(
  to: ReferenceTensor,
  toStart: number,
  from: ReferenceTensor,
  start: number,
  count: number,
): void {
  const source = from.data.subarray(start, start + count);
  // The three array types are checked to agree by the type rules.
  (to.data as Float64Array).set(source as Float64Array, toStart);
}

function at(data: Float64Array | Float32Array | Int32Array, index: number): number {
  return data[index] ?? Number.NaN;
}

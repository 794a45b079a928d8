import { byteSize, type FloatDType } from "../../../src/ir/dtype.ts";
import {
  type Expr,
  f32,
  f32x4,
  type FunctionBuilder,
  i16x8,
  i32,
  i32x4,
  type Local,
  v128,
} from "../../wasm/wasm.ts";
import { hasFusedMultiplyAdd } from "../../wasm/fused.ts";
import { relaxedMadd } from "../../wasm/relaxed.ts";
import { kernel } from "./kernel.ts";
import { normalizeRow } from "./rms-norm.ts";
import { horizontalSum, pick } from "./vector-math.ts";

type Vec = Expr<"v128">;
type Address = Local<"i32">;

/** Activation rows packed at a time: bounds the scratch memory, and what stays in the L2 cache. */
export const rowChunk = 32;
/**
 * Shapes of the tiles, tried in this order: rows of activations times columns of the result. V8 issues
 * all loads of a loop body before its arithmetic, so sums and loads of one block together must fit the
 * 16 vector registers: larger tiles, or two blocks a round, spill and lose a third of the speed.
 */
const tiles = [
  { rows: 3, columns: 1 },
  { rows: 2, columns: 1 },
  { rows: 1, columns: 3 },
] as const;
/** Bytes of weights worked on while they stay in the L1 cache, for several rows. */
const panelBytes = 16 * 1024;

/** Scratch bytes a thread needs for inputs of `depth` columns and `rows` rows: packed, and one normed. */
export function linearScratchBytes(rows: number, depth: number): number {
  return (Math.min(rows, rowChunk) + 1) * paddedDepth(depth) * 4;
}

function paddedDepth(depth: number): number {
  return Math.ceil(depth / 8) * 8;
}

/**
 * y[rows, outputs] = x[rows, depth] · w[outputs, depth]ᵀ (+ bias[outputs]) (+ residual[rows, outputs]);
 * x, y, bias and residual f32, w in its stored type, row-major. A null bias or residual address means
 * none; residual may be y. With a `norm` address, f32[depth], the product is with rms_norm(x, norm, eps),
 * the very bits that kernel gives.
 *
 * Order of additions of one output element, whatever the rows, the tile or the thread: eight running
 * sums, of the columns k with equal k mod 8 (absent columns count as 0), then s[i] + s'[i] of the two
 * halves, then (0 + 2) + (1 + 3). A product is added with one rounding on machines with a fused
 * multiply-add, with two on others. 16-bit types halve into even and odd columns, f32 into the first
 * and last four of eight.
 */
export function linear(stored: FloatDType) {
  return kernel({
    axis: "outputs",
    params: {
      x: "i32",
      w: "i32",
      y: "i32",
      bias: "i32",
      residual: "i32",
      norm: "i32",
      eps: "f32",
      rows: "i32",
      depth: "i32",
      outputs: "i32",
      scratch: "scratch",
    },
    body: (f, args, { begin, end }) => {
      const { x, w, y, bias, residual, norm, eps, rows, depth, outputs } = args;
      // One row to norm in, then the packed rows.
      const normed = args.scratch;
      const matrix: Matrix = {
        stored,
        rowBytes: f.let(i32.mul(depth, byteSize(stored))),
        wholeBytes: f.let(i32.mul(i32.and(depth, -8), byteSize(stored))),
        tail: f.let(i32.and(depth, 7)),
        tailMasks: tailMasks(f, stored, i32.and(depth, 7)),
        oddMask: f.let(i32x4.splat(stored === "f16" ? 0x8fffe000 : 0xffff0000)),
      };
      const outputBytes = f.let(i32.mul(outputs, 4));
      const packedBytes = f.let(i32.shl(i32.and(i32.add(depth, 7), -8), 2));
      const scratch = f.let(i32.add(normed, packedBytes));
      const panelRows = f.let(i32.divU(i32.const(panelBytes), matrix.rowBytes));
      // Whole tiles: the odd columns at the end of a panel are done one at a time.
      const panel = f.let(i32.add(i32.mul(i32.divU(panelRows, 3), 3), 3));

      const chunk = f.local("i32");
      f.upTo(chunk, rows, rowChunk, () => {
        const chunkEnd = f.let(minimum(f, i32.add(chunk, rowChunk), rows));
        const count = f.let(i32.sub(chunkEnd, chunk));
        packRows(f, stored, {
          from: f.let(i32.add(x, i32.mul(chunk, i32.mul(depth, 4)))),
          to: scratch,
          count,
          depth,
          packedBytes,
          norm,
          normed,
          eps,
        });
        const first = f.let(begin);
        f.upTo(first, end, panel, () => {
          const last = f.let(minimum(f, i32.add(first, panel), end));
          const row = f.let(i32.const(0));
          /** All outputs of the panel for `tile` rows from `row` on, while so many are left. */
          const forRows = (tile: number, columns: number): void => {
            f.while(i32.leU(i32.add(row, tile), count), () => {
              const packed = f.let(i32.add(scratch, i32.mul(row, packedBytes)));
              const n = f.let(first);
              const block = (width: number): void => {
                f.while(i32.leU(i32.add(n, width), last), () => {
                  const target = f.let(
                    i32.add(i32.mul(i32.add(chunk, row), outputBytes), i32.shl(n, 2)),
                  );
                  const sums = tileSums(f, matrix, {
                    weights: f.let(i32.add(w, i32.mul(n, matrix.rowBytes))),
                    packed,
                    rows: tile,
                    columns: width,
                  });
                  finish(f, sums, { y, bias, residual, target, n, outputBytes });
                  f.increment(n, width);
                });
              };
              block(columns);
              if (columns > 1) block(1);
              f.increment(row, tile);
            });
          };
          for (const tile of tiles) forRows(tile.rows, tile.columns);
        });
      });
    },
  });
}

interface Matrix {
  readonly stored: FloatDType;
  readonly rowBytes: Address;
  /** Bytes of a row's whole blocks of eight. */
  readonly wholeBytes: Address;
  /** Columns in the last, partial block. */
  readonly tail: Address;
  /** Ones where the partial block has columns: one vector of 16-bit lanes, or two of 32-bit lanes. */
  readonly tailMasks: readonly Vec[];
  readonly oddMask: Vec;
}

function minimum(f: FunctionBuilder, a: Expr<"i32">, b: Local<"i32">): Expr<"i32"> {
  const smaller = f.let(a);
  f.if(i32.gtU(smaller, b), () => f.set(smaller, b));
  return smaller;
}

/** Which columns of the last block exist: the rest of it belongs to the next row of weights. */
function tailMasks(f: FunctionBuilder, stored: FloatDType, tail: Expr<"i32">): readonly Vec[] {
  if (stored === "f32") {
    return [i32x4.const(0, 1, 2, 3), i32x4.const(4, 5, 6, 7)].map((columns) =>
      f.let(i32x4.gtS(i32x4.splat(tail), columns)),
    );
  }
  return [f.let(i16x8.gtS(i16x8.splat(tail), i16x8.const(0, 1, 2, 3, 4, 5, 6, 7)))];
}

/**
 * f16 weights are multiplied as they lie, 2^112 too small; the activations and the sums make that
 * good by a factor 2^56 each, both exact. One factor alone would overflow.
 */
const halfScale = 2 ** 56;

/**
 * Copies activation rows to scratch in the order the inner loop reads them, so that it needs one
 * address for all rows of a tile: tiles of 3, 2 and 1 rows; in a tile block after block of eight columns,
 * in a block row after row. For 16-bit weights a block is split into even and odd columns. Zeros
 * follow the last column.
 */
function packRows(
  f: FunctionBuilder,
  stored: FloatDType,
  rows: {
    from: Address;
    to: Address;
    count: Address;
    depth: Address;
    packedBytes: Address;
    norm: Address;
    normed: Address;
    eps: Local<"f32">;
  },
): void {
  const scale = (value: Vec): Vec =>
    stored === "f16" ? f32x4.mul(value, f32x4.splat(halfScale)) : value;
  const source = f.let(rows.from);
  const row = f.let(i32.const(0));
  const whole = f.let(i32.shl(i32.and(rows.depth, -8), 2));
  const tail = f.let(i32.and(rows.depth, 7));
  f.while(i32.ltU(row, rows.count), () => {
    // Tiles of every size up to the largest exist, so the largest that fits is the next.
    const tile = f.let(minimum(f, i32.sub(rows.count, row), f.let(i32.const(tiles[0].rows))));
    const stride = f.let(i32.shl(tile, 5));
    const start = f.let(i32.add(rows.to, i32.mul(row, rows.packedBytes)));
    const member = f.let(i32.const(0));
    f.upTo(member, tile, 1, () => {
      const to = f.let(i32.add(start, i32.shl(member, 5)));
      const from = f.let(source);
      f.if(rows.norm, () => {
        const { norm: w, normed, depth: width, eps } = rows;
        normalizeRow(f, { from, to: normed, w, width, eps });
        f.set(from, normed);
      });
      const end = f.let(i32.add(from, whole));
      f.upTo(from, end, 32, () => {
        const low = f.let(v128.load(from));
        const high = f.let(v128.load(from, 16));
        const [first, second]: readonly [Vec, Vec] =
          stored === "f32"
            ? [low, high]
            : [pick(low, high, 0, 2, 4, 6), pick(low, high, 1, 3, 5, 7)];
        f.do(v128.store(to, scale(first)));
        f.do(v128.store(to, scale(second), 16));
        f.increment(to, stride);
      });
      f.if(tail, () => packTail(f, stored, from, to, tail));
      f.increment(source, i32.shl(rows.depth, 2));
    });
    f.increment(row, tile);
  });
}

/** The last columns of a row, fewer than eight, as a block with zeros. */
function packTail(
  f: FunctionBuilder,
  stored: FloatDType,
  from: Address,
  to: Address,
  tail: Address,
): void {
  const zeros = i32x4.const(0, 0, 0, 0);
  f.do(v128.store(to, zeros));
  f.do(v128.store(to, zeros, 16));
  const column = f.let(i32.const(0));
  f.upTo(column, tail, 1, () => {
    const place =
      stored === "f32"
        ? i32.shl(column, 2)
        : i32.add(i32.shl(i32.shrU(column, 1), 2), i32.shl(i32.and(column, 1), 4));
    const value = f32.load(from);
    f.do(f32.store(i32.add(to, place), stored === "f16" ? f32.mul(value, halfScale) : value));
    f.increment(from, 4);
  });
}

interface Tile {
  /** First of `columns` consecutive weight rows. */
  readonly weights: Address;
  /** The packed activation rows. */
  readonly packed: Address;
  readonly rows: number;
  readonly columns: number;
}

/** Dot products of a tile, [row][column], as vectors of four partial sums. */
function tileSums(f: FunctionBuilder, matrix: Matrix, tile: Tile): Local<"v128">[][] {
  const { stored } = matrix;
  const blockBytes = 8 * byteSize(stored);
  const weights = range(tile.columns).map((column) =>
    f.let(i32.add(tile.weights, i32.mul(matrix.rowBytes, column))),
  );
  const packed = f.let(tile.packed);
  const zeros = f32x4.const(0, 0, 0, 0);
  const firsts = range(tile.rows).map(() => range(tile.columns).map(() => f.let(zeros)));
  const seconds = range(tile.rows).map(() => range(tile.columns).map(() => f.let(zeros)));

  const block = (masks?: readonly Vec[]): void => {
    const blocks = weights.map((address) => loadBlock(f, stored, address, masks));
    for (const [half, sums] of [firsts, seconds].entries()) {
      const wide = blocks.map((loaded) => f.let(widenHalfBlock(matrix, loaded, half)));
      for (let row = 0; row < tile.rows; row++) {
        const load = v128.load(packed, row * 32 + half * 16);
        const x = wide.length > 1 ? f.let(load) : load;
        for (const [column, w] of wide.entries()) {
          const sum = sums[row]?.[column];
          if (sum !== undefined) f.set(sum, multiplyAdd(x, w, sum));
        }
      }
    }
  };
  const advance = (): void => {
    for (const address of weights) f.increment(address, blockBytes);
    f.increment(packed, tile.rows * 32);
  };

  const [firstWeights] = weights;
  if (firstWeights === undefined) throw new RangeError("a tile has at least one column");
  const stop = f.let(i32.add(firstWeights, matrix.wholeBytes));
  f.while(i32.ltU(firstWeights, stop), () => {
    block();
    advance();
  });
  f.if(matrix.tail, () => block(matrix.tailMasks));

  const scale = f32x4.splat(halfScale);
  return firsts.map((row, r) =>
    row.map((first, c) => {
      const sum = f32x4.add(first, seconds[r]?.[c] ?? first);
      return f.let(stored === "f16" ? f32x4.mul(sum, scale) : sum);
    }),
  );
}

/** Eight weights as they are stored, in one vector or two; masked, so no foreign bits reach arithmetic. */
function loadBlock(
  f: FunctionBuilder,
  stored: FloatDType,
  address: Address,
  masks: readonly Vec[] | undefined,
): readonly Vec[] {
  return range(byteSize(stored) === 4 ? 2 : 1).map((part) => {
    const value = v128.load(address, 16 * part);
    const mask = masks?.[part];
    return f.let(mask === undefined ? value : v128.and(value, mask));
  });
}

/** One half of a block as f32: even or odd columns of 16-bit types, first or last four of f32. */
function widenHalfBlock(matrix: Matrix, loaded: readonly Vec[], half: number): Vec {
  const [first, second] = loaded;
  if (first === undefined) throw new RangeError("a block has at least one vector");
  switch (matrix.stored) {
    case "f32":
      return half === 0 ? first : (second ?? first);
    case "bf16":
      return half === 0 ? i32x4.shl(first, 16) : v128.and(first, matrix.oddMask);
    case "f16": {
      const high = half === 0 ? i32x4.shl(first, 16) : first;
      return v128.and(i32x4.shrS(high, 3), matrix.oddMask);
    }
    default:
      return matrix.stored satisfies never;
  }
}

/** Reduces the partial sums, adds bias and residual, and stores. */
function finish(
  f: FunctionBuilder,
  sums: readonly (readonly Local<"v128">[])[],
  out: {
    y: Address;
    bias: Address;
    residual: Address;
    /** Byte offset of the tile's first element in y and residual. */
    target: Address;
    n: Address;
    outputBytes: Address;
  },
): void {
  const offset = f.let(out.target);
  for (const [index, row] of sums.entries()) {
    if (index > 0) f.increment(offset, out.outputBytes);
    for (const [column, sum] of row.entries()) {
      const value = f.let(horizontalSum(f, sum));
      f.if(out.bias, () =>
        f.set(value, f32.add(value, f32.load(i32.add(out.bias, i32.shl(out.n, 2)), 4 * column))),
      );
      f.if(out.residual, () =>
        f.set(value, f32.add(f32.load(i32.add(out.residual, offset), 4 * column), value)),
      );
      f.do(f32.store(i32.add(out.y, offset), value, 4 * column));
    }
  }
}

/** x · w + sum: with one rounding, in one instruction, where the machine has it; never a mixture. */
function multiplyAdd(x: Vec, w: Vec, sum: Vec): Vec {
  return hasFusedMultiplyAdd() ? relaxedMadd.f32x4(x, w, sum) : f32x4.add(sum, f32x4.mul(x, w));
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

import { byteSize, type FloatDType } from "../../../src/ir/dtype.ts";
import { type FunctionBuilder, i32, type Local, memory } from "../../wasm/wasm.ts";
import { kernelErrors } from "./control.ts";
import { kernel, type KernelContext, reportError } from "./kernel.ts";
import { loadWide, loadWideScalar, storeNarrow, storeNarrowScalar } from "./vector-math.ts";

type Address = Local<"i32">;

/** Elements [at, end) of one float type stored as another, rounded to nearest even. */
function convert(
  f: FunctionBuilder,
  from: FloatDType,
  to: FloatDType,
  range: { x: Address; y: Address; at: Address; end: Address },
): void {
  const { x, y, at, end } = range;
  const source = f.let(i32.add(x, i32.mul(at, byteSize(from))));
  const target = f.let(i32.add(y, i32.mul(at, byteSize(to))));
  const advance = (count: number): void => {
    f.increment(at, count);
    f.increment(source, count * byteSize(from));
    f.increment(target, count * byteSize(to));
  };
  f.while(i32.leU(i32.add(at, 4), end), () => {
    storeNarrow(f, to, target, loadWide(f, from, source));
    advance(4);
  });
  f.while(i32.ltU(at, end), () => {
    storeNarrowScalar(f, to, target, loadWideScalar(f, from, source));
    advance(1);
  });
}

/** y = x in another float type. */
export function cast(from: FloatDType, to: FloatDType) {
  return kernel({
    axis: "elements",
    params: { x: "i32", y: "i32" },
    body: (f, { x, y }, { begin, end }) => convert(f, from, to, { x, y, at: f.let(begin), end }),
  });
}

/** Runs `write` if the slots start … start + rows - 1 exist, else reports the start. */
function ifSlotsExist(
  f: FunctionBuilder,
  context: KernelContext,
  { first, rows, slots }: { first: Address; rows: Address; slots: Address },
  write: () => void,
): void {
  const fits = i32.and(i32.leU(rows, slots), i32.leU(first, i32.sub(slots, rows)));
  f.if(fits, write, () => reportError(f, context, kernelErrors.slotOutOfRange, first));
}

/**
 * f32 rows stored in a cache of a 16-bit type from slot `start` (an i32[1]) on. `size` is a row's
 * element count.
 */
export function cacheWrite(to: Exclude<FloatDType, "f32">) {
  return kernel({
    axis: "elements of a row",
    params: { x: "i32", cache: "i32", start: "i32", size: "i32", rows: "i32", slots: "i32" },
    body: (f, { x, cache, start, size, rows, slots }, { begin, end }, context) => {
      const first = f.let(i32.load(start));
      ifSlotsExist(f, context, { first, rows, slots }, () => {
        const row = f.let(i32.const(0));
        f.upTo(row, rows, 1, () => {
          const from = f.let(i32.add(x, i32.mul(i32.mul(row, size), 4)));
          const slot = i32.add(first, row);
          const y = f.let(i32.add(cache, i32.mul(i32.mul(slot, size), byteSize(to))));
          convert(f, "f32", to, { x: from, y, at: f.let(begin), end });
        });
      });
    },
  });
}

/** As `cacheWrite` for rows that have the cache's type already, by bytes. */
export const cacheCopy = kernel({
  axis: "bytes of a row",
  params: { x: "i32", cache: "i32", start: "i32", rowBytes: "i32", rows: "i32", slots: "i32" },
  body: (f, { x, cache, start, rowBytes, rows, slots }, { begin, end }, context) => {
    const first = f.let(i32.load(start));
    ifSlotsExist(f, context, { first, rows, slots }, () => {
      const from = f.let(i32.add(x, begin));
      const to = f.let(i32.add(i32.add(cache, i32.mul(first, rowBytes)), begin));
      const bytes = f.let(i32.sub(end, begin));
      f.if(
        i32.eq(bytes, rowBytes),
        () => f.do(memory.copy(to, from, i32.mul(rows, rowBytes))),
        () => {
          const row = f.let(i32.const(0));
          f.upTo(row, rows, 1, () => {
            f.do(memory.copy(to, from, bytes));
            f.increment(from, rowBytes);
            f.increment(to, rowBytes);
          });
        },
      );
    });
  },
});

/**
 * Slot length + i takes what slot length + path[i] held, i < count, in ascending order of i. The
 * parallel axis is the bytes of a row: threads never touch each other's.
 */
export const cacheCommit = kernel({
  axis: "bytes of a row",
  params: {
    cache: "i32",
    path: "i32",
    pathLength: "i32",
    count: "i32",
    length: "i32",
    rowBytes: "i32",
    slots: "i32",
  },
  body: (f, args, { begin, end }, context) => {
    const { cache, path, rowBytes, slots } = args;
    const length = f.let(i32.load(args.length));
    const count = f.let(i32.load(args.count));
    f.if(i32.gtU(count, args.pathLength), () => {
      reportError(f, context, kernelErrors.slotOutOfRange, count);
      f.set(count, 0);
    });
    const i = f.let(i32.const(0));
    f.upTo(i, count, 1, () => {
      const node = f.let(i32.load(i32.add(path, i32.shl(i, 2))));
      f.if(i32.ne(node, i), () => {
        const from = f.let(i32.add(length, node));
        const to = f.let(i32.add(length, i));
        f.if(
          i32.and(i32.ltU(from, slots), i32.ltU(to, slots)),
          () =>
            f.do(
              memory.copy(
                i32.add(i32.add(cache, i32.mul(to, rowBytes)), begin),
                i32.add(i32.add(cache, i32.mul(from, rowBytes)), begin),
                i32.sub(end, begin),
              ),
            ),
          () => reportError(f, context, kernelErrors.slotOutOfRange, from),
        );
      });
    });
  },
});

/** Rows of x[available, …] by index i32[count], by bytes. A row that does not exist gives zeros. */
export const gather = kernel({
  axis: "rows",
  params: { x: "i32", index: "i32", y: "i32", rowBytes: "i32", available: "i32" },
  body: (f, { x, index, y, rowBytes, available }, { begin, end }, context) => {
    const at = f.let(begin);
    f.upTo(at, end, 1, () => {
      const row = f.let(i32.load(i32.add(index, i32.shl(at, 2))));
      const to = f.let(i32.add(y, i32.mul(at, rowBytes)));
      f.if(
        i32.ltU(row, available),
        () => f.do(memory.copy(to, i32.add(x, i32.mul(row, rowBytes)), rowBytes)),
        () => {
          reportError(f, context, kernelErrors.rowOutOfRange, row);
          f.do(memory.fill(to, 0, rowBytes));
        },
      );
    });
  },
});

/** As `gather` for a float table, widened to f32; `width` elements a row. */
export function embedding(stored: FloatDType) {
  return kernel({
    axis: "rows",
    params: { table: "i32", ids: "i32", y: "i32", width: "i32", available: "i32" },
    body: (f, { table, ids, y, width, available }, { begin, end }, context) => {
      const rowBytes = f.let(i32.mul(width, byteSize(stored)));
      const row = f.let(begin);
      f.upTo(row, end, 1, () => {
        const id = f.let(i32.load(i32.add(ids, i32.shl(row, 2))));
        const to = f.let(i32.add(y, i32.mul(row, i32.shl(width, 2))));
        f.if(
          i32.ltU(id, available),
          () => {
            const from = f.let(i32.add(table, i32.mul(id, rowBytes)));
            convert(f, stored, "f32", { x: from, y: to, at: f.let(i32.const(0)), end: width });
          },
          () => {
            reportError(f, context, kernelErrors.rowOutOfRange, id);
            f.do(memory.fill(to, 0, i32.shl(width, 2)));
          },
        );
      });
    },
  });
}

/** `count` runs of bytes from one stride to another: a concatenation copies each operand so. */
export const copyRuns = kernel({
  axis: "runs",
  params: { from: "i32", to: "i32", bytes: "i32", fromStride: "i32", toStride: "i32" },
  body: (f, { from, to, bytes, fromStride, toStride }, { begin, end }) => {
    const run = f.let(begin);
    f.upTo(run, end, 1, () =>
      f.do(
        memory.copy(
          i32.add(to, i32.mul(run, toStride)),
          i32.add(from, i32.mul(run, fromStride)),
          bytes,
        ),
      ),
    );
  },
});

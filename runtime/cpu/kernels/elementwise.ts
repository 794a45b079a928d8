import {
  type Arg,
  type Expr,
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  type Local,
  v128,
} from "../../wasm/wasm.ts";
import { kernel } from "./kernel.ts";
import { silu } from "./vector-math.ts";

type Vec = Expr<"v128">;
type Address = Local<"i32">;

/**
 * Element by element over matrices [rows, columns] of 32-bit elements. The parallel axis is the
 * columns, so that a thread goes on with the columns it has just made in a `linear`, without a
 * barrier. Tails take the same vector arithmetic on one lane: the bits do not depend on the split.
 */
function columnsOf(
  f: FunctionBuilder,
  matrix: {
    rows: Address;
    columns: Address;
    begin: Address;
    end: Address;
    inputs: readonly Operand[];
    y: Address;
  },
  compute: (first: Vec, second: Vec) => Vec,
): void {
  const { rows, columns, begin, end, inputs, y } = matrix;
  const row = f.let(i32.const(0));
  const first = f.let(i32.shl(begin, 2));
  const addresses = inputs.map(({ address }) => f.let(i32.add(address, first)));
  const to = f.let(i32.add(y, first));
  const rowBytes = f.let(i32.shl(columns, 2));
  f.upTo(row, rows, 1, () => {
    const at = f.let(begin);
    const offset = f.let(i32.const(0));
    const step = (
      lanes: number,
      load: (address: Arg<"i32">) => Vec,
      store: (value: Vec) => void,
    ): void => {
      f.while(i32.leU(i32.add(at, lanes), end), () => {
        const [first, second] = inputs.map(
          ({ once }, index) => once ?? load(i32.add(addresses[index] ?? 0, offset)),
        );
        if (first === undefined) throw new RangeError("an operation has at least one input");
        store(compute(first, second ?? first));
        f.increment(at, lanes);
        f.increment(offset, 4 * lanes);
      });
    };
    step(4, v128.load, (value) => f.do(v128.store(i32.add(to, offset), value)));
    step(1, v128.load32Zero, (value) => f.do(v128.store32Lane(i32.add(to, offset), value, 0)));
    for (const [index, { stride }] of inputs.entries()) {
      const address = addresses[index];
      if (address !== undefined) f.increment(address, stride ?? rowBytes);
    }
    f.increment(to, rowBytes);
  });
}

interface Operand {
  readonly address: Address;
  /** Bytes from row to row, when they are not those of the result. */
  readonly stride?: Address;
  /** The value of every element, when they are all the same. */
  readonly once?: Vec;
}

/**
 * y = a ∘ b. `stride` is the bytes from row to row of b: 0 when one row serves all. With `scalar`, b is
 * one element.
 */
function binary(combine: (a: Vec, b: Vec) => Vec) {
  return kernel({
    axis: "columns",
    params: {
      a: "i32",
      b: "i32",
      y: "i32",
      rows: "i32",
      columns: "i32",
      stride: "i32",
      scalar: "i32",
    },
    body: (f, { a, b, y, rows, columns, stride, scalar }, { begin, end }) => {
      const both = (inputs: readonly Operand[]): void =>
        columnsOf(f, { rows, columns, begin, end, inputs, y }, combine);
      f.if(
        scalar,
        () => both([{ address: a }, { address: b, once: f.let(v128.load32Splat(b)) }]),
        () => both([{ address: a }, { address: b, stride }]),
      );
    },
  });
}

export const add = binary(f32x4.add);
export const mul = binary(f32x4.mul);
export const addInt = binary(i32x4.add);

/** y = x · sigmoid(x). */
export const siluKernel = kernel({
  axis: "columns",
  params: { x: "i32", y: "i32", rows: "i32", columns: "i32" },
  body: (f, { x, y, rows, columns }, { begin, end }) =>
    columnsOf(f, { rows, columns, begin, end, inputs: [{ address: x }], y }, (value) =>
      silu(f, value),
    ),
});

/** y = gate · sigmoid(gate) · up. */
export const siluMul = kernel({
  axis: "columns",
  params: { gate: "i32", up: "i32", y: "i32", rows: "i32", columns: "i32" },
  body: (f, { gate, up, y, rows, columns }, { begin, end }) =>
    columnsOf(
      f,
      { rows, columns, begin, end, inputs: [{ address: gate }, { address: up }], y },
      (g, u) => f32x4.mul(silu(f, g), u),
    ),
});

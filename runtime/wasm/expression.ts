import { ByteWriter } from "./byte-writer.ts";

export const valueTypes = ["i32", "i64", "f32", "f64", "v128"] as const;
export type ValueType = (typeof valueTypes)[number];

/** Binary encoding of a value type. */
export const typeCode: Record<ValueType, number> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/**
 * A typed WebAssembly expression: a tree that writes its operands, then itself. `void` expressions
 * are statements (stores, calls without a result). An expression used twice is computed twice: keep
 * values that are needed again in a local (`FunctionBuilder.let`).
 */
export interface Expr<T extends ValueType | "void" = ValueType | "void"> {
  readonly type: T;
  write(out: ByteWriter): void;
}
export type Stmt = Expr<"void">;

/** What an operand of each type may be given as: JavaScript numbers stand for constants. */
export interface Operand {
  i32: Expr<"i32"> | number;
  i64: Expr<"i64"> | bigint;
  f32: Expr<"f32"> | number;
  f64: Expr<"f64"> | number;
  v128: Expr<"v128">;
}
export type Arg<T extends ValueType> = Operand[T];

/** Opcodes behind a prefix byte (0xfc, 0xfd, 0xfe) carry the prefix above bit 16. */
function writeOpcode(out: ByteWriter, opcode: number): void {
  if (opcode < 0x100) {
    out.byte(opcode);
    return;
  }
  out.byte(opcode >> 16);
  out.unsigned(opcode & 0xffff);
}

class Operation<T extends ValueType | "void"> implements Expr<T> {
  readonly type: T;
  readonly #opcode: number;
  readonly #operands: readonly Expr[];
  readonly #immediate: ArrayLike<number> | undefined;

  constructor(
    type: T,
    opcode: number,
    operands: readonly Expr[],
    immediate?: ArrayLike<number> | undefined,
  ) {
    this.type = type;
    this.#opcode = opcode;
    this.#operands = operands;
    this.#immediate = immediate;
  }

  write(out: ByteWriter): void {
    for (const operand of this.#operands) operand.write(out);
    writeOpcode(out, this.#opcode);
    if (this.#immediate !== undefined) out.append(this.#immediate);
  }
}

/** An instruction with its operands in stack order and its already encoded immediates. */
export function operation<T extends ValueType | "void">(
  type: T,
  opcode: number,
  operands: readonly Expr[],
  immediate?: ArrayLike<number>,
): Expr<T> {
  return new Operation(type, opcode, operands, immediate);
}

/** Bytes made by `fill` on a fresh writer, for immediates. */
export function encoded(fill: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter(8);
  fill(out);
  return out.bytes;
}

/** Alignment (log2 of bytes) and constant byte offset of a memory access. */
export function memoryImmediate(align: number, offset: number): ArrayLike<number> {
  if (offset < 0x80 && offset >= 0) return [align, offset];
  if (!Number.isInteger(offset) || offset < 0 || offset > 0xffffffff) {
    throw new RangeError(`memory offset ${offset} is not an unsigned 32-bit integer`);
  }
  return encoded((out) => {
    out.unsigned(align);
    out.unsigned(offset);
  });
}

/** A constant of a scalar type. */
export function constant<T extends Exclude<ValueType, "v128">>(
  type: T,
  value: number | bigint,
): Expr<T> {
  switch (type) {
    case "i32":
      return new Operation<T>(
        type,
        0x41,
        [],
        encoded((out) => out.signed(Number(value))),
      );
    case "i64":
      return new Operation<T>(
        type,
        0x42,
        [],
        encoded((out) => out.signed64(BigInt(value))),
      );
    case "f32": {
      // Through an integer, so that NaN payloads never meet a float conversion on the way.
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setFloat32(0, Number(value), true);
      return new Operation<T>(type, 0x43, [], bytes);
    }
    default: {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setFloat64(0, Number(value), true);
      return new Operation<T>(type, 0x44, [], bytes);
    }
  }
}

/** Turns an operand into an expression of the given type. */
export function lift<T extends ValueType>(type: T, value: Arg<T>): Expr<T> {
  if (typeof value === "object") return value as unknown as Expr<T>;
  return constant(type as Exclude<T, "v128">, value as number | bigint) as Expr<T>;
}

import {
  type Arg,
  constant,
  type Expr,
  lift,
  memoryImmediate,
  operation,
  type Stmt,
  type ValueType,
} from "./expression.ts";

export function unary<From extends ValueType, To extends ValueType>(
  from: From,
  to: To,
  opcode: number,
): (value: Arg<From>) => Expr<To> {
  return (value) => operation(to, opcode, [lift(from, value)]);
}

export function binary<From extends ValueType, To extends ValueType>(
  from: From,
  to: To,
  opcode: number,
): (left: Arg<From>, right: Arg<From>) => Expr<To> {
  return (left, right) => operation(to, opcode, [lift(from, left), lift(from, right)]);
}

/** A load: address in bytes, plus a constant byte offset. */
export function load<T extends ValueType>(
  type: T,
  opcode: number,
  align: number,
): (address: Arg<"i32">, offset?: number) => Expr<T> {
  return (address, offset = 0) =>
    operation(type, opcode, [lift("i32", address)], memoryImmediate(align, offset));
}

/** A store: address in bytes, value, plus a constant byte offset. */
export function store<T extends ValueType>(
  type: T,
  opcode: number,
  align: number,
): (address: Arg<"i32">, value: Arg<T>, offset?: number) => Stmt {
  return (address, value, offset = 0) =>
    operation(
      "void",
      opcode,
      [lift("i32", address), lift(type, value)],
      memoryImmediate(align, offset),
    );
}

/** 32-bit integers. Comparisons give 1 or 0; shift counts are taken modulo 32. */
export const i32 = {
  const: (value: number) => constant("i32", value),
  load: load("i32", 0x28, 2),
  load8S: load("i32", 0x2c, 0),
  load8U: load("i32", 0x2d, 0),
  load16S: load("i32", 0x2e, 1),
  load16U: load("i32", 0x2f, 1),
  store: store("i32", 0x36, 2),
  store8: store("i32", 0x3a, 0),
  store16: store("i32", 0x3b, 1),
  eqz: unary("i32", "i32", 0x45),
  eq: binary("i32", "i32", 0x46),
  ne: binary("i32", "i32", 0x47),
  ltS: binary("i32", "i32", 0x48),
  ltU: binary("i32", "i32", 0x49),
  gtS: binary("i32", "i32", 0x4a),
  gtU: binary("i32", "i32", 0x4b),
  leS: binary("i32", "i32", 0x4c),
  leU: binary("i32", "i32", 0x4d),
  geS: binary("i32", "i32", 0x4e),
  geU: binary("i32", "i32", 0x4f),
  clz: unary("i32", "i32", 0x67),
  ctz: unary("i32", "i32", 0x68),
  popcnt: unary("i32", "i32", 0x69),
  add: binary("i32", "i32", 0x6a),
  sub: binary("i32", "i32", 0x6b),
  mul: binary("i32", "i32", 0x6c),
  divS: binary("i32", "i32", 0x6d),
  divU: binary("i32", "i32", 0x6e),
  remS: binary("i32", "i32", 0x6f),
  remU: binary("i32", "i32", 0x70),
  and: binary("i32", "i32", 0x71),
  or: binary("i32", "i32", 0x72),
  xor: binary("i32", "i32", 0x73),
  shl: binary("i32", "i32", 0x74),
  shrS: binary("i32", "i32", 0x75),
  shrU: binary("i32", "i32", 0x76),
  rotl: binary("i32", "i32", 0x77),
  rotr: binary("i32", "i32", 0x78),
  wrapI64: unary("i64", "i32", 0xa7),
  truncF32S: unary("f32", "i32", 0xa8),
  truncF32U: unary("f32", "i32", 0xa9),
  truncF64S: unary("f64", "i32", 0xaa),
  truncF64U: unary("f64", "i32", 0xab),
  reinterpretF32: unary("f32", "i32", 0xbc),
  extend8S: unary("i32", "i32", 0xc0),
  extend16S: unary("i32", "i32", 0xc1),
  truncSatF32S: unary("f32", "i32", 0xfc0000),
  truncSatF32U: unary("f32", "i32", 0xfc0001),
  truncSatF64S: unary("f64", "i32", 0xfc0002),
  truncSatF64U: unary("f64", "i32", 0xfc0003),
} as const;

/** 64-bit integers; constants are bigints. Comparisons give an i32. */
export const i64 = {
  const: (value: number | bigint) => constant("i64", value),
  load: load("i64", 0x29, 3),
  load8S: load("i64", 0x30, 0),
  load8U: load("i64", 0x31, 0),
  load16S: load("i64", 0x32, 1),
  load16U: load("i64", 0x33, 1),
  load32S: load("i64", 0x34, 2),
  load32U: load("i64", 0x35, 2),
  store: store("i64", 0x37, 3),
  store8: store("i64", 0x3c, 0),
  store16: store("i64", 0x3d, 1),
  store32: store("i64", 0x3e, 2),
  eqz: unary("i64", "i32", 0x50),
  eq: binary("i64", "i32", 0x51),
  ne: binary("i64", "i32", 0x52),
  ltS: binary("i64", "i32", 0x53),
  ltU: binary("i64", "i32", 0x54),
  gtS: binary("i64", "i32", 0x55),
  gtU: binary("i64", "i32", 0x56),
  leS: binary("i64", "i32", 0x57),
  leU: binary("i64", "i32", 0x58),
  geS: binary("i64", "i32", 0x59),
  geU: binary("i64", "i32", 0x5a),
  clz: unary("i64", "i64", 0x79),
  ctz: unary("i64", "i64", 0x7a),
  popcnt: unary("i64", "i64", 0x7b),
  add: binary("i64", "i64", 0x7c),
  sub: binary("i64", "i64", 0x7d),
  mul: binary("i64", "i64", 0x7e),
  divS: binary("i64", "i64", 0x7f),
  divU: binary("i64", "i64", 0x80),
  remS: binary("i64", "i64", 0x81),
  remU: binary("i64", "i64", 0x82),
  and: binary("i64", "i64", 0x83),
  or: binary("i64", "i64", 0x84),
  xor: binary("i64", "i64", 0x85),
  shl: binary("i64", "i64", 0x86),
  shrS: binary("i64", "i64", 0x87),
  shrU: binary("i64", "i64", 0x88),
  rotl: binary("i64", "i64", 0x89),
  rotr: binary("i64", "i64", 0x8a),
  extendI32S: unary("i32", "i64", 0xac),
  extendI32U: unary("i32", "i64", 0xad),
  truncF32S: unary("f32", "i64", 0xae),
  truncF32U: unary("f32", "i64", 0xaf),
  truncF64S: unary("f64", "i64", 0xb0),
  truncF64U: unary("f64", "i64", 0xb1),
  reinterpretF64: unary("f64", "i64", 0xbd),
  extend8S: unary("i64", "i64", 0xc2),
  extend16S: unary("i64", "i64", 0xc3),
  extend32S: unary("i64", "i64", 0xc4),
  truncSatF32S: unary("f32", "i64", 0xfc0004),
  truncSatF32U: unary("f32", "i64", 0xfc0005),
  truncSatF64S: unary("f64", "i64", 0xfc0006),
  truncSatF64U: unary("f64", "i64", 0xfc0007),
} as const;

/** 32-bit floats. */
export const f32 = {
  const: (value: number) => constant("f32", value),
  load: load("f32", 0x2a, 2),
  store: store("f32", 0x38, 2),
  eq: binary("f32", "i32", 0x5b),
  ne: binary("f32", "i32", 0x5c),
  lt: binary("f32", "i32", 0x5d),
  gt: binary("f32", "i32", 0x5e),
  le: binary("f32", "i32", 0x5f),
  ge: binary("f32", "i32", 0x60),
  abs: unary("f32", "f32", 0x8b),
  neg: unary("f32", "f32", 0x8c),
  ceil: unary("f32", "f32", 0x8d),
  floor: unary("f32", "f32", 0x8e),
  trunc: unary("f32", "f32", 0x8f),
  nearest: unary("f32", "f32", 0x90),
  sqrt: unary("f32", "f32", 0x91),
  add: binary("f32", "f32", 0x92),
  sub: binary("f32", "f32", 0x93),
  mul: binary("f32", "f32", 0x94),
  div: binary("f32", "f32", 0x95),
  min: binary("f32", "f32", 0x96),
  max: binary("f32", "f32", 0x97),
  copysign: binary("f32", "f32", 0x98),
  convertI32S: unary("i32", "f32", 0xb2),
  convertI32U: unary("i32", "f32", 0xb3),
  convertI64S: unary("i64", "f32", 0xb4),
  convertI64U: unary("i64", "f32", 0xb5),
  demoteF64: unary("f64", "f32", 0xb6),
  reinterpretI32: unary("i32", "f32", 0xbe),
} as const;

/** 64-bit floats. */
export const f64 = {
  const: (value: number) => constant("f64", value),
  load: load("f64", 0x2b, 3),
  store: store("f64", 0x39, 3),
  eq: binary("f64", "i32", 0x61),
  ne: binary("f64", "i32", 0x62),
  lt: binary("f64", "i32", 0x63),
  gt: binary("f64", "i32", 0x64),
  le: binary("f64", "i32", 0x65),
  ge: binary("f64", "i32", 0x66),
  abs: unary("f64", "f64", 0x99),
  neg: unary("f64", "f64", 0x9a),
  ceil: unary("f64", "f64", 0x9b),
  floor: unary("f64", "f64", 0x9c),
  trunc: unary("f64", "f64", 0x9d),
  nearest: unary("f64", "f64", 0x9e),
  sqrt: unary("f64", "f64", 0x9f),
  add: binary("f64", "f64", 0xa0),
  sub: binary("f64", "f64", 0xa1),
  mul: binary("f64", "f64", 0xa2),
  div: binary("f64", "f64", 0xa3),
  min: binary("f64", "f64", 0xa4),
  max: binary("f64", "f64", 0xa5),
  copysign: binary("f64", "f64", 0xa6),
  convertI32S: unary("i32", "f64", 0xb7),
  convertI32U: unary("i32", "f64", 0xb8),
  convertI64S: unary("i64", "f64", 0xb9),
  convertI64U: unary("i64", "f64", 0xba),
  promoteF32: unary("f32", "f64", 0xbb),
  reinterpretI64: unary("i64", "f64", 0xbf),
} as const;

/** `condition ? whenTrue : whenFalse`, both sides computed. */
export function select<T extends ValueType>(
  condition: Arg<"i32">,
  whenTrue: Expr<T>,
  whenFalse: Expr<T>,
): Expr<T> {
  return operation(whenTrue.type, 0x1b, [whenTrue, whenFalse, lift("i32", condition)]);
}

/** Bulk memory operations; addresses and sizes in bytes, ranges may overlap in `copy`. */
export const memory = {
  copy: (to: Arg<"i32">, from: Arg<"i32">, size: Arg<"i32">): Stmt =>
    operation("void", 0xfc000a, [lift("i32", to), lift("i32", from), lift("i32", size)], [0, 0]),
  fill: (to: Arg<"i32">, byte: Arg<"i32">, size: Arg<"i32">): Stmt =>
    operation("void", 0xfc000b, [lift("i32", to), lift("i32", byte), lift("i32", size)], [0]),
  /** Size in 64 KiB pages. */
  size: (): Expr<"i32"> => operation("i32", 0x3f, [], [0]),
  /** Grows by pages; the old size, or -1. */
  grow: (pages: Arg<"i32">): Expr<"i32"> => operation("i32", 0x40, [lift("i32", pages)], [0]),
} as const;

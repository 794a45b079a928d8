import { type Arg, type Expr, lift, memoryImmediate, operation, type Stmt } from "./expression.ts";
import { load, store } from "./numeric.ts";

type Int = "i32" | "i64";

function rmw<T extends Int>(
  type: T,
  opcode: number,
  align: number,
): (address: Arg<"i32">, value: Arg<T>, offset?: number) => Expr<T> {
  return (address, value, offset = 0) =>
    operation(
      type,
      opcode,
      [lift("i32", address), lift(type, value)],
      memoryImmediate(align, offset),
    );
}

function compareExchange<T extends Int>(
  type: T,
  opcode: number,
  align: number,
): (address: Arg<"i32">, expected: Arg<T>, replacement: Arg<T>, offset?: number) => Expr<T> {
  return (address, expected, replacement, offset = 0) =>
    operation(
      type,
      opcode,
      [lift("i32", address), lift(type, expected), lift(type, replacement)],
      memoryImmediate(align, offset),
    );
}

function wait<T extends Int>(
  type: T,
  opcode: number,
  align: number,
): (
  address: Arg<"i32">,
  expected: Arg<T>,
  nanoseconds: Arg<"i64">,
  offset?: number,
) => Expr<"i32"> {
  return (address, expected, nanoseconds, offset = 0) =>
    operation(
      "i32",
      opcode,
      [lift("i32", address), lift(type, expected), lift("i64", nanoseconds)],
      memoryImmediate(align, offset),
    );
}

/** Atomic accesses to 32-bit integers and their narrower forms (zero-extended); read-modify-writes give the old value. Addresses must be aligned. */
export const atomic32 = {
  load: load("i32", 0xfe0010, 2),
  load8U: load("i32", 0xfe0012, 0),
  load16U: load("i32", 0xfe0013, 1),
  store: store("i32", 0xfe0017, 2),
  store8: store("i32", 0xfe0019, 0),
  store16: store("i32", 0xfe001a, 1),
  add: rmw("i32", 0xfe001e, 2),
  add8U: rmw("i32", 0xfe0020, 0),
  add16U: rmw("i32", 0xfe0021, 1),
  sub: rmw("i32", 0xfe0025, 2),
  sub8U: rmw("i32", 0xfe0027, 0),
  sub16U: rmw("i32", 0xfe0028, 1),
  and: rmw("i32", 0xfe002c, 2),
  and8U: rmw("i32", 0xfe002e, 0),
  and16U: rmw("i32", 0xfe002f, 1),
  or: rmw("i32", 0xfe0033, 2),
  or8U: rmw("i32", 0xfe0035, 0),
  or16U: rmw("i32", 0xfe0036, 1),
  xor: rmw("i32", 0xfe003a, 2),
  xor8U: rmw("i32", 0xfe003c, 0),
  xor16U: rmw("i32", 0xfe003d, 1),
  exchange: rmw("i32", 0xfe0041, 2),
  exchange8U: rmw("i32", 0xfe0043, 0),
  exchange16U: rmw("i32", 0xfe0044, 1),
  compareExchange: compareExchange("i32", 0xfe0048, 2),
  compareExchange8U: compareExchange("i32", 0xfe004a, 0),
  compareExchange16U: compareExchange("i32", 0xfe004b, 1),
  /** Sleeps while memory holds `expected` (negative timeout: for ever): 0 woken, 1 not equal, 2 timed out. */
  wait: wait("i32", 0xfe0001, 2),
} as const;

/** Atomic accesses to 64-bit integers and their narrower forms (zero-extended); read-modify-writes give the old value. Addresses must be aligned. */
export const atomic64 = {
  load: load("i64", 0xfe0011, 3),
  load8U: load("i64", 0xfe0014, 0),
  load16U: load("i64", 0xfe0015, 1),
  load32U: load("i64", 0xfe0016, 2),
  store: store("i64", 0xfe0018, 3),
  store8: store("i64", 0xfe001b, 0),
  store16: store("i64", 0xfe001c, 1),
  store32: store("i64", 0xfe001d, 2),
  add: rmw("i64", 0xfe001f, 3),
  add8U: rmw("i64", 0xfe0022, 0),
  add16U: rmw("i64", 0xfe0023, 1),
  add32U: rmw("i64", 0xfe0024, 2),
  sub: rmw("i64", 0xfe0026, 3),
  sub8U: rmw("i64", 0xfe0029, 0),
  sub16U: rmw("i64", 0xfe002a, 1),
  sub32U: rmw("i64", 0xfe002b, 2),
  and: rmw("i64", 0xfe002d, 3),
  and8U: rmw("i64", 0xfe0030, 0),
  and16U: rmw("i64", 0xfe0031, 1),
  and32U: rmw("i64", 0xfe0032, 2),
  or: rmw("i64", 0xfe0034, 3),
  or8U: rmw("i64", 0xfe0037, 0),
  or16U: rmw("i64", 0xfe0038, 1),
  or32U: rmw("i64", 0xfe0039, 2),
  xor: rmw("i64", 0xfe003b, 3),
  xor8U: rmw("i64", 0xfe003e, 0),
  xor16U: rmw("i64", 0xfe003f, 1),
  xor32U: rmw("i64", 0xfe0040, 2),
  exchange: rmw("i64", 0xfe0042, 3),
  exchange8U: rmw("i64", 0xfe0045, 0),
  exchange16U: rmw("i64", 0xfe0046, 1),
  exchange32U: rmw("i64", 0xfe0047, 2),
  compareExchange: compareExchange("i64", 0xfe0049, 3),
  compareExchange8U: compareExchange("i64", 0xfe004c, 0),
  compareExchange16U: compareExchange("i64", 0xfe004d, 1),
  compareExchange32U: compareExchange("i64", 0xfe004e, 2),
  /** Sleeps while memory holds `expected` (negative timeout: for ever): 0 woken, 1 not equal, 2 timed out. */
  wait: wait("i64", 0xfe0002, 3),
} as const;

/** Wakes up to `count` waiters (-1: all) of an address; gives how many. */
export function atomicNotify(address: Arg<"i32">, count: Arg<"i32">, offset = 0): Expr<"i32"> {
  return operation(
    "i32",
    0xfe0000,
    [lift("i32", address), lift("i32", count)],
    memoryImmediate(2, offset),
  );
}

export function atomicFence(): Stmt {
  return operation("void", 0xfe0003, [], [0]);
}

/** atom and red: lanes take turns in ascending order. */
import {
  type Expr,
  f32,
  f32x4,
  f64,
  i32,
  i32x4,
  i64,
  i64x2,
  type Local,
  select,
} from "../../wasm/wasm.ts";
import type { Operand } from "../ptx/ptx.ts";
import { addressOperand, linearAddresses, spaceOf } from "./addresses.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { splat32, type Vec } from "./vectors.ts";
import { type LaneType, readExtended, typeOf } from "./types.ts";

const OPERATIONS = new Set("add min max and or xor inc dec exch cas".split(" "));

export function atomic(e: LaneEmitter): void {
  const name = e.instruction.parts.find((part) => OPERATIONS.has(part)) ?? e.fail();
  const type = typeOf(e);
  const returns = e.instruction.parts[0] === "atom";
  const at = e.instruction.operands.findIndex((operand) => operand.kind === "address");
  const sources = e.instruction.operands.slice(at + 1);
  if (sources.some((operand) => operand.kind === "vector")) e.fail("vector atomics");
  if (type.bits === 64) return atomic64(e, name, type, returns, sources);
  if (type.bits === 8) return e.fail();
  const values = sources.map((operand) => e.keep(readExtended(e, operand, type)));
  const addresses = linearAddresses(e, addressOperand(e), spaceOf(e.instruction));
  const active = e.lanesInUse();
  const bits = active === undefined ? undefined : e.keep32(i32x4.bitmask(active));
  const result = e.keep(splat32(0));
  for (let lane = 0; lane < 4; lane++) {
    onLane(e, bits, lane, () => {
      const address = e.keep32(i32x4.extractLane(addresses, lane));
      const old = e.keep32(type.bits === 16 ? i32.load16U(address) : i32.load(address));
      const operands = values.map((value) => i32x4.extractLane(value, lane));
      const updated = update32(e, name, type, old, operands);
      e.f.do(type.bits === 16 ? i32.store16(address, updated) : i32.store(address, updated));
      if (returns) e.f.set(result, i32x4.replaceLane(result, lane, old));
    });
  }
  if (returns) e.write32(e.operand(0), result);
}

function onLane(
  e: LaneEmitter,
  bits: Local<"i32"> | undefined,
  lane: number,
  body: () => void,
): void {
  if (bits === undefined) body();
  else e.f.if(i32.and(bits, 1 << lane), body);
}

function update32(
  e: LaneEmitter,
  name: string,
  type: LaneType,
  old: Local<"i32">,
  operands: readonly Expr<"i32">[],
): Expr<"i32"> {
  const [value, extra] = operands;
  if (value === undefined) return e.fail();
  const signed = type.kind === "signed";
  if (type.name === "f32" && name === "add") {
    return i32.reinterpretF32(f32.add(f32.reinterpretI32(old), f32.reinterpretI32(value)));
  }
  if (type.kind === "float" && name === "add") return addHalves(e, type, old, value);
  if (type.kind === "float" && name !== "exch" && name !== "cas") return e.fail();
  switch (name) {
    case "add":
      return i32.add(old, value);
    case "and":
      return i32.and(old, value);
    case "or":
      return i32.or(old, value);
    case "xor":
      return i32.xor(old, value);
    case "exch":
      return value;
    case "min":
      return select((signed ? i32.ltS : i32.ltU)(value, old), value, old);
    case "max":
      return select((signed ? i32.gtS : i32.gtU)(value, old), value, old);
    case "inc":
      return select(i32.geU(old, value), i32.const(0), i32.add(old, 1));
    case "dec":
      return select(i32.or(i32.eqz(old), i32.gtU(old, value)), value, i32.sub(old, 1));
    case "cas":
      return extra === undefined ? e.fail() : select(i32.eq(old, value), extra, old);
    default:
      return e.fail();
  }
}

/** f16 and bf16, single or packed. */
function addHalves(
  e: LaneEmitter,
  type: LaneType,
  old: Local<"i32">,
  value: Expr<"i32">,
): Expr<"i32"> {
  const isBf16 = type.name.startsWith("bf16");
  const expand = (x: Vec): Vec => (isBf16 ? i32x4.shl(x, 16) : e.core("v128", "f16ToF32", x));
  // One vector carries both halves: lane 0 the low one, lane 1 the high one.
  const halves = (word: Expr<"i32">): Vec => {
    const kept = e.keep32(word);
    const low = i32x4.splat(i32.and(kept, 0xffff));
    return e.keep(expand(i32x4.replaceLane(low, 1, i32.shrU(kept, 16))));
  };
  const sum = f32x4.add(halves(old), halves(value));
  const rounded = e.keep(e.core("v128", isBf16 ? "f32ToBf16" : "f32ToF16", sum));
  const low = i32x4.extractLane(rounded, 0);
  if (!type.name.endsWith("x2")) return low;
  return i32.or(low, i32.shl(i32x4.extractLane(rounded, 1), 16));
}

function atomic64(
  e: LaneEmitter,
  name: string,
  type: LaneType,
  returns: boolean,
  sources: readonly Operand[],
): void {
  const values = sources.map((operand) => {
    const { low, high } = e.read64(operand);
    return [e.keep(low), e.keep(high)] as const;
  });
  const addresses = linearAddresses(e, addressOperand(e), spaceOf(e.instruction));
  const active = e.lanesInUse();
  const bits = active === undefined ? undefined : e.keep32(i32x4.bitmask(active));
  const result = [e.keep(splat32(0)), e.keep(splat32(0))] as const;
  for (let lane = 0; lane < 4; lane++) {
    const half = lane < 2 ? 0 : 1;
    onLane(e, bits, lane, () => {
      const address = e.keep32(i32x4.extractLane(addresses, lane));
      const old = e.keep64(i64.load(address));
      const operands = values.map((pair) => i64x2.extractLane(pair[half], lane & 1));
      e.f.do(i64.store(address, update64(e, name, type, old, operands)));
      if (returns) e.f.set(result[half], i64x2.replaceLane(result[half], lane & 1, old));
    });
  }
  if (returns) e.write64(e.operand(0), { low: result[0], high: result[1] });
}

function update64(
  e: LaneEmitter,
  name: string,
  type: LaneType,
  old: Local<"i64">,
  [value, extra]: readonly Expr<"i64">[],
): Expr<"i64"> {
  if (value === undefined) return e.fail();
  const signed = type.kind === "signed";
  switch (name) {
    case "add":
      return type.kind === "float"
        ? i64.reinterpretF64(f64.add(f64.reinterpretI64(old), f64.reinterpretI64(value)))
        : i64.add(old, value);
    case "and":
      return i64.and(old, value);
    case "or":
      return i64.or(old, value);
    case "xor":
      return i64.xor(old, value);
    case "exch":
      return value;
    case "min":
      return select((signed ? i64.ltS : i64.ltU)(value, old), value, old);
    case "max":
      return select((signed ? i64.gtS : i64.gtU)(value, old), value, old);
    case "cas":
      return extra === undefined ? e.fail() : select(i64.eq(old, value), extra, old);
    default:
      return e.fail();
  }
}

/** PTX types as operations need them: how a value sits in its lane and how to read it. */
import { i32x4, v128 } from "../../wasm/wasm.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { splat32, type Vec, type Wide, widenHigh, widenLow } from "./vectors.ts";
import type { Operand } from "../ptx/ptx.ts";

/**
 * Values narrower than 32 bits sit in 32-bit lanes. Bits above their width are zero in 16-bit
 * registers; wider registers may hold anything there, so reads by a narrow type extend first.
 */
export interface LaneType {
  readonly name: string;
  readonly bits: 1 | 8 | 16 | 32 | 64;
  readonly kind: "signed" | "unsigned" | "float" | "bits" | "predicate";
}

const KINDS: Readonly<Record<string, LaneType["kind"]>> = {
  s: "signed",
  u: "unsigned",
  b: "bits",
  f: "float",
};

const BY_NAME = new Map<string, LaneType>([["pred", { name: "pred", bits: 1, kind: "predicate" }]]);
for (const bits of [8, 16, 32, 64] as const) {
  for (const letter of ["s", "u", "b", "f"]) {
    if (letter === "f" && bits === 8) continue;
    const name = `${letter}${bits}`;
    BY_NAME.set(name, { name, bits, kind: KINDS[letter] ?? "bits" });
  }
}
BY_NAME.set("bf16", { name: "bf16", bits: 16, kind: "float" });
for (const name of ["f16x2", "bf16x2", "tf32"])
  BY_NAME.set(name, { name, bits: 32, kind: "float" });

export function laneType(name: string): LaneType | undefined {
  return BY_NAME.get(name);
}

/** The types an opcode names, in order. */
export function typesOf(e: LaneEmitter): readonly LaneType[] {
  return e.instruction.parts.slice(1).flatMap((part) => laneType(part) ?? []);
}

/** The last type of the opcode. */
export function typeOf(e: LaneEmitter): LaneType {
  return typesOf(e).at(-1) ?? e.fail("it names no type");
}

/** True when the opcode has the suffix. */
export function has(e: LaneEmitter, suffix: string): boolean {
  return e.instruction.parts.includes(suffix);
}

/** Reads an operand of at most 32 bits, extended to 32 by its type. */
export function readExtended(e: LaneEmitter, operand: Operand, type: LaneType): Vec {
  const value = e.read32(operand);
  if (type.bits >= 32 || type.bits === 1) return value;
  return extend(value, type);
}

export function extend(value: Vec, type: LaneType): Vec {
  const spare = 32 - type.bits;
  if (type.kind === "signed") return i32x4.shrS(i32x4.shl(value, spare), spare);
  return v128.and(value, splat32(2 ** type.bits - 1));
}

/** Cuts a result to its type's width, as narrow registers hold it. */
export function cut(value: Vec, type: LaneType): Vec {
  return type.bits >= 32 ? value : v128.and(value, splat32(2 ** type.bits - 1));
}

/** A mask of 32-bit lanes as one of 64-bit lanes. */
export function widen(mask: Vec): Wide {
  return { low: widenLow(mask), high: widenHigh(mask) };
}

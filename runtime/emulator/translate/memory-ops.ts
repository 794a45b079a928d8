/** ld and st. */
import { i8x16, i32x4, i64x2, v128 } from "../../wasm/wasm.ts";
import { transpose } from "../core/matrix.ts";
import type { Operand } from "../ptx/ptx.ts";
import { addressOperand, linearAddresses, spaceOf } from "./addresses.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { splat32, type Vec, type Wide } from "./vectors.ts";
import { extend, type LaneType, readExtended, typeOf } from "./types.ts";

const LOW_PAIR = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const HIGH_PAIR = LOW_PAIR.map((byte) => byte + 4);
const FIRST = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const SECOND = FIRST.map((byte) => byte + 8);

function elementsOf(operand: Operand): readonly Operand[] {
  return operand.kind === "vector" ? operand.items : [operand];
}

export function load(e: LaneEmitter): void {
  const type = typeOf(e);
  const space = spaceOf(e.instruction);
  const targets = elementsOf(e.operand(0));
  const addresses = linearAddresses(e, addressOperand(e), space);
  const lane = (at: number) => i32x4.extractLane(addresses, at);
  if (type.bits === 64) return loadWide(e, lane, targets);
  if (type.bits === 32 && targets.length === 4) {
    const rows = [0, 1, 2, 3].map((at) => e.keep(v128.load(lane(at))));
    for (const [at, value] of transpose(keeper(e), rows).entries()) {
      e.write32(targets[at] ?? { kind: "sink" }, value);
    }
    return;
  }
  if (type.bits === 32 && targets.length === 2) {
    const first = e.keep(v128.load64Lane(lane(1), v128.load64Zero(lane(0)), 1));
    const second = e.keep(v128.load64Lane(lane(3), v128.load64Zero(lane(2)), 1));
    e.write32(targets[0] ?? { kind: "sink" }, i8x16.shuffle(first, second, LOW_PAIR));
    e.write32(targets[1] ?? { kind: "sink" }, i8x16.shuffle(first, second, HIGH_PAIR));
    return;
  }
  for (const [index, target] of targets.entries()) {
    writeLoaded(e, target, loadNarrow(type, lane, (index * type.bits) / 8), type);
  }
}

/** The helper the transpose needs of a function builder: temporaries of this instruction. */
function keeper(e: LaneEmitter) {
  return { let: (value: Vec) => e.keep(value) };
}

type LaneAddress = (lane: number) => ReturnType<typeof i32x4.extractLane>;

function loadNarrow(type: LaneType, lane: LaneAddress, offset: number): Vec {
  let value: Vec;
  switch (type.bits) {
    case 32:
      value = v128.load32Zero(lane(0), offset);
      for (let at = 1; at < 4; at++) value = v128.load32Lane(lane(at), value, at, offset);
      return value;
    case 16:
      value = splat32(0);
      for (let at = 0; at < 4; at++) value = v128.load16Lane(lane(at), value, 2 * at, offset);
      return value;
    default:
      value = splat32(0);
      for (let at = 0; at < 4; at++) value = v128.load8Lane(lane(at), value, 4 * at, offset);
      return value;
  }
}

/** A narrow value fills a wider register: sign-extended for signed types. */
function writeLoaded(e: LaneEmitter, target: Operand, value: Vec, type: LaneType): void {
  const width = target.kind === "reg" ? target.reg.bits : 32;
  if (type.kind !== "signed" || type.bits === 32) {
    if (width === 64 && type.kind === "signed") {
      const kept = e.keep(value);
      e.write64(target, {
        low: i64x2.extendLowI32x4S(kept),
        high: i64x2.extendHighI32x4S(kept),
      });
    } else e.write32(target, value);
    return;
  }
  const extended = e.keep(extend(value, type));
  if (width === 64) {
    e.write64(target, {
      low: i64x2.extendLowI32x4S(extended),
      high: i64x2.extendHighI32x4S(extended),
    });
  } else e.write32(target, width === 32 ? extended : v128.and(extended, splat32(0xffff)));
}

function loadWide(e: LaneEmitter, lane: LaneAddress, targets: readonly Operand[]): void {
  if (targets.length === 1) {
    e.write64(targets[0] ?? { kind: "sink" }, {
      low: v128.load64Lane(lane(1), v128.load64Zero(lane(0)), 1),
      high: v128.load64Lane(lane(3), v128.load64Zero(lane(2)), 1),
    });
    return;
  }
  if (targets.length !== 2) return e.fail("vectors of four 64-bit elements");
  const rows = [0, 1, 2, 3].map((at) => e.keep(v128.load(lane(at))));
  const pick = (bytes: readonly number[]): Wide => ({
    low: i8x16.shuffle(rows[0] ?? e.fail(), rows[1] ?? e.fail(), bytes),
    high: i8x16.shuffle(rows[2] ?? e.fail(), rows[3] ?? e.fail(), bytes),
  });
  e.write64(targets[0] ?? { kind: "sink" }, pick(FIRST));
  e.write64(targets[1] ?? { kind: "sink" }, pick(SECOND));
}

export function store(e: LaneEmitter): void {
  const type = typeOf(e);
  const space = spaceOf(e.instruction);
  const address = addressOperand(e);
  const source = e.instruction.operands.at(-1) ?? e.fail();
  const sources = elementsOf(source);
  if (type.bits === 64) {
    const values = sources.map((operand) => {
      const { low, high } = e.read64(operand);
      return { low: e.keep(low), high: e.keep(high) };
    });
    const addresses = linearAddresses(e, address, space);
    for (const [index, { low, high }] of values.entries()) {
      for (let at = 0; at < 4; at++) {
        const half = at < 2 ? low : high;
        const to = i32x4.extractLane(addresses, at);
        e.f.do(v128.store64Lane(to, half, at & 1, 8 * index));
      }
    }
    return;
  }
  const values = sources.map((operand) => e.keep(readExtended(e, operand, type)));
  const addresses = linearAddresses(e, address, space);
  const lane = (at: number) => i32x4.extractLane(addresses, at);
  if (type.bits === 32 && values.length === 4) {
    for (const [at, row] of transpose(keeper(e), values).entries()) {
      e.f.do(v128.store(lane(at), row));
    }
    return;
  }
  const bytes = type.bits / 8;
  for (const [index, value] of values.entries()) {
    for (let at = 0; at < 4; at++) {
      const offset = index * bytes;
      if (bytes === 4) e.f.do(v128.store32Lane(lane(at), value, at, offset));
      else if (bytes === 2) e.f.do(v128.store16Lane(lane(at), value, 2 * at, offset));
      else e.f.do(v128.store8Lane(lane(at), value, 4 * at, offset));
    }
  }
}

/** Linear addresses of memory operands, four lanes at a time. */
import { i32, i32x4, i64x2, type Local, v128 } from "../../wasm/wasm.ts";
import { CONSTANT_ROWS, GLOBAL_TAG, HEADER, PARAM_BASE } from "../layout.ts";
import type { Instruction, Operand } from "../ptx/ptx.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { highWords, lowWords, splat32, type Vec } from "./vectors.ts";

export type Space = "global" | "shared" | "cluster" | "local" | "const" | "param" | "generic";

const SPACES: Readonly<Record<string, Space>> = {
  global: "global",
  shared: "shared",
  "shared::cta": "shared",
  "shared::cluster": "cluster",
  local: "local",
  const: "const",
  param: "param",
};

/** The state space an access names; without one, its addresses are generic. */
export function spaceOf({ parts }: Instruction): Space {
  for (const part of parts) {
    const space = SPACES[part];
    if (space !== undefined) return space;
  }
  return "generic";
}

type Address = Extract<Operand, { kind: "address" }>;

/** The address operand of an access. */
export function addressOperand(e: LaneEmitter): Address {
  const found = e.instruction.operands.find((operand) => operand.kind === "address");
  return found?.kind === "address" ? found : e.fail("it has no address");
}

/** Linear addresses of the lanes, with those of lanes that are off made harmless. */
export function linearAddresses(e: LaneEmitter, address: Address, space: Space): Local<"v128"> {
  return e.keep(e.masked(resolve(e, address, space)));
}

function resolve(e: LaneEmitter, address: Address, space: Space): Vec {
  const { base } = address;
  if (base === undefined) return e.fail("an absolute address");
  if ("space" in base) {
    const at = e.context.offsetOf(base, e.instruction) + address.offset;
    return inWindow(e, splat32(at), base.space === "param" ? "param" : base.space);
  }
  const offset = address.offset;
  const moved = (value: Vec): Vec => (offset === 0 ? value : i32x4.add(value, splat32(offset)));
  const operand: Operand = { kind: "reg", reg: base };
  if (space === "generic") return generic(e, operand, offset);
  const words = base.bits === 64 ? lowWords(keepWide(e, operand)) : e.read32(operand);
  return inWindow(e, moved(words), space);
}

function keepWide(e: LaneEmitter, operand: Operand) {
  const { low, high } = e.read64(operand);
  return { low: e.keep(low), high: e.keep(high) };
}

/** Adds the base of the window the addresses are relative to. */
function inWindow(e: LaneEmitter, offsets: Vec, space: Space): Vec {
  switch (space) {
    case "global":
    case "const":
      return offsets;
    case "param":
      return i32x4.add(offsets, splat32(PARAM_BASE));
    case "shared":
      return i32x4.add(offsets, v128.load32Splat(e.warp, HEADER.sharedBase));
    case "cluster":
      return e.perLane32([offsets], (lane) =>
        e.core("i32", "resolveShared", e.warp, lane as Local<"i32">),
      );
    case "local": {
      const lanes = v128.load(e.quad, CONSTANT_ROWS.laneId);
      const bases = i32x4.mul(lanes, splat32(e.context.localBytes));
      const windows = i32x4.add(bases, v128.load32Splat(e.warp, HEADER.localBase));
      return i32x4.add(offsets, windows);
    }
    case "generic":
      return e.fail("a variable has no generic address");
    default:
      return space satisfies never;
  }
}

/** All lanes global is the common case; otherwise each lane is looked at. */
function generic(e: LaneEmitter, operand: Operand, offset: number): Vec {
  const wide = e.read64(operand);
  const at = i64x2.const(BigInt.asUintN(64, BigInt(offset)), BigInt.asUintN(64, BigInt(offset)));
  const low = e.keep(i64x2.add(wide.low, at));
  const high = e.keep(i64x2.add(wide.high, at));
  const result = e.keep(lowWords({ low, high }));
  const isGlobal = i32x4.allTrue(i32x4.eq(highWords({ low, high }), splat32(GLOBAL_TAG)));
  const { f } = e;
  f.if(i32.eqz(isGlobal), () => {
    for (let lane = 0; lane < 4; lane++) {
      const address = i64x2.extractLane(lane < 2 ? low : high, lane & 1);
      const laneId = i32.add(i32.shrU(e.quad, 2), lane);
      const linear = e.core("i32", "resolveGeneric", e.warp, laneId, address, e.context.localBytes);
      f.set(result, i32x4.replaceLane(result, lane, linear));
    }
  });
  return result;
}

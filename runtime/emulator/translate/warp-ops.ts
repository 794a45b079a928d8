/**
 * Warp-wide operations as part of lane code. Of a full warp all members are there, so what is left
 * of a shuffle, a vote or a reduction is arithmetic: it reads rows of other lanes, which all quads
 * must have stored before (`rows`), and else runs along with the instructions around it. Warps
 * with lanes switched off, and operations that are not found here, take the host's way.
 */
import { type Expr, i32, i32x4, i8x16, select, v128 } from "../../wasm/wasm.ts";
import { CONSTANT_ROWS, WARP } from "../layout.ts";
import { defUse } from "../ptx/operands.ts";
import type { Instruction, Operand, PtxFunction, Register } from "../ptx/ptx.ts";
import type { LaneEmitter } from "./lane-emitter.ts";
import { splat32, type Vec } from "./vectors.ts";

export interface WarpOp {
  /** Registers read across lanes: the function that contains the operation must not write them. */
  readonly rows: readonly Register[];
  /** Emits what is done once, before the loop over quads; gives what emits the part of a quad. */
  begin(e: LaneEmitter): () => void;
}

/** Registers that hold one 32-bit integer for as long as the kernel runs. */
export type Constants = ReadonlyMap<Register, number>;

const MOVES = new Set(["mov.b32", "mov.u32", "mov.s32"]);

/** Registers whose only definition moves an integer into them. */
export function constantsOf(fn: PtxFunction): Constants {
  const constants = new Map<Register, number>();
  const defined = new Set<Register>();
  for (const instruction of fn.instructions) {
    const isMove = MOVES.has(instruction.opcode) && instruction.guard === undefined;
    const source = instruction.operands[1];
    for (const register of defUse(instruction).defs) {
      if (defined.has(register)) constants.delete(register);
      else if (isMove && source?.kind === "int") constants.set(register, word(source.value));
      defined.add(register);
    }
  }
  return constants;
}

const word = (value: bigint): number => Number(BigInt.asIntN(32, value));

function constantOf(operand: Operand | undefined, constants: Constants): number | undefined {
  if (operand?.kind === "int") return word(operand.value);
  return operand?.kind === "reg" ? constants.get(operand.reg) : undefined;
}

/** What an instruction does in lane code of full warps; undefined if the host must do it. */
export function warpOp(instruction: Instruction, constants: Constants): WarpOp | undefined {
  const { parts, operands, guard } = instruction;
  // Under a guard, a full warp is one no longer.
  if (guard !== undefined || !parts.includes("sync")) return undefined;
  if (constantOf(operands.at(-1), constants) !== -1) return undefined;
  const op = operationOf(instruction, constants);
  const { defs } = defUse(instruction);
  if (op === undefined || defs.some((d) => d.bits > 32 || op.rows.includes(d))) return undefined;
  return op;
}

function operationOf(instruction: Instruction, constants: Constants): WarpOp | undefined {
  switch (instruction.parts[0]) {
    case "shfl":
      return shuffle(instruction, constants);
    case "vote":
      return vote(instruction);
    case "redux":
      return reduce(instruction);
    case "bar":
    case "barrier":
      // Nothing is left to do but to keep memory accesses on their sides.
      return instruction.parts.includes("warp") ? { rows: [], begin: () => () => {} } : undefined;
    default:
      return undefined;
  }
}

/** The register of an operand that is read across lanes. */
function rowOf(operand: Operand | undefined): Register | undefined {
  return operand?.kind === "reg" && operand.reg.bits <= 32 ? operand.reg : undefined;
}

const MODES = ["up", "down", "bfly", "idx"] as const;
export type ShuffleMode = (typeof MODES)[number];

export function shuffleMode({ parts }: Instruction): ShuffleMode | undefined {
  return MODES.find((mode) => mode === parts[2]);
}

/** shfl.sync d|p, a, b, c. */
function shuffle(instruction: Instruction, constants: Constants): WarpOp | undefined {
  const mode = shuffleMode(instruction);
  const [to, a, b, c] = instruction.operands;
  const from = rowOf(a);
  if (mode === undefined || to === undefined || from === undefined) return undefined;
  if (a === undefined || b === undefined || c === undefined) return undefined;
  const write = (e: LaneEmitter, value: Vec, inRange: Vec): void => {
    e.write32(to.kind === "pair" ? to.first : to, value);
    if (to.kind === "pair") e.write32(to.second, inRange);
  };

  const amount = constantOf(b, constants);
  const clamp = constantOf(c, constants);
  const sources =
    amount === undefined || clamp === undefined
      ? undefined
      : Array.from({ length: WARP }, (_, lane) => sourceLane(mode, lane, amount & 31, clamp));
  const pattern = sources && patternOf(sources);
  if (pattern === undefined) {
    return {
      rows: [from],
      begin: (e) => () => {
        const { lanes, inRange } = sourceLanes(e, mode, e.read32(b), e.read32(c));
        const at = e.keep(
          i32x4.add(i32x4.shl(lanes, 2), i32x4.splat(i32.add(e.warp, e.context.row(from)))),
        );
        let value: Vec = v128.load32Zero(i32x4.extractLane(at, 0));
        for (let lane = 1; lane < 4; lane++) {
          value = v128.load32Lane(i32x4.extractLane(at, lane), value, lane);
        }
        write(e, value, inRange);
      },
    };
  }
  const all = splat32(-1);
  if (pattern.kind === "one") {
    const row = (e: LaneEmitter): number => e.context.row(from) + 4 * pattern.lane;
    return { rows: [from], begin: (e) => () => write(e, v128.load32Splat(e.warp, row(e)), all) };
  }
  const { quads, bytes } = pattern;
  const permuted = (e: LaneEmitter, quad: Vec): Vec => {
    const kept = e.keep(quad);
    return i8x16.shuffle(kept, kept, bytes);
  };
  if (quads === 0) {
    return { rows: [], begin: (e) => () => write(e, permuted(e, e.read32(a)), all) };
  }
  return {
    rows: [from],
    begin: (e) => () => {
      const other = i32.add(e.warp, i32.xor(e.quad, 16 * quads));
      write(e, permuted(e, v128.load(other, e.context.row(from))), all);
    },
  };
}

/**
 * The lane whose value a lane gets, for amount `b` (0 to 31) and clamp `c`; undefined when that is
 * out of range, so that it keeps its own.
 */
export function sourceLane(
  mode: ShuffleMode,
  lane: number,
  b: number,
  c: number,
): number | undefined {
  const segment = (c >>> 8) & 31;
  const last = (lane & segment) | (c & 31 & ~segment);
  switch (mode) {
    case "up":
      return lane - b >= last ? lane - b : undefined;
    case "down":
      return lane + b <= last ? lane + b : undefined;
    case "bfly":
      return (lane ^ b) <= last ? lane ^ b : undefined;
    case "idx": {
      const from = (lane & segment) | (b & ~segment);
      return from <= last ? from : undefined;
    }
    default:
      return mode satisfies never;
  }
}

/** The same for four lanes whose amounts and clamps are only known when they run. */
function sourceLanes(
  e: LaneEmitter,
  mode: ShuffleMode,
  amount: Vec,
  clamp: Vec,
): { readonly lanes: Vec; readonly inRange: Vec } {
  const lane = e.keep(v128.load(e.quad, CONSTANT_ROWS.laneId));
  const b = e.keep(v128.and(amount, splat32(31)));
  const c = e.keep(clamp);
  const segment = e.keep(v128.and(i32x4.shrU(c, 8), splat32(31)));
  const own = e.keep(v128.and(lane, segment));
  const last = v128.or(own, v128.andNot(v128.and(c, splat32(31)), segment));
  const targets = {
    up: () => i32x4.sub(lane, b),
    down: () => i32x4.add(lane, b),
    bfly: () => v128.xor(lane, b),
    idx: () => v128.or(own, v128.andNot(b, segment)),
  };
  const from = e.keep(targets[mode]());
  const inRange = e.keep(mode === "up" ? i32x4.geS(from, last) : i32x4.leS(from, last));
  return { lanes: v128.bitselect(from, lane, inRange), inRange };
}

type Pattern =
  /** All lanes read the same one. */
  | { readonly kind: "one"; readonly lane: number }
  /** Quad q reads quad q ^ `quads`, its bytes permuted. */
  | { readonly kind: "quads"; readonly quads: number; readonly bytes: readonly number[] };

/** What is regular about the source lanes; undefined for nothing, or when some are out of range. */
function patternOf(sources: readonly (number | undefined)[]): Pattern | undefined {
  const [first = WARP] = sources;
  if (first === WARP) return undefined;
  if (sources.every((lane) => lane === first)) return { kind: "one", lane: first };
  const quads = first >> 2;
  const inQuad = sources.slice(0, 4).map((lane) => (lane ?? 0) & 3);
  const isRegular = sources.every(
    (lane, at) => lane === 4 * ((at >> 2) ^ quads) + (inQuad[at & 3] ?? 0),
  );
  if (!isRegular) return undefined;
  return {
    kind: "quads",
    quads,
    bytes: inQuad.flatMap((lane) => [0, 1, 2, 3].map((b) => 4 * lane + b)),
  };
}

/** vote.sync.{all,any,uni}.pred and .ballot.b32. */
function vote({ parts, operands }: Instruction): WarpOp | undefined {
  const [to, of] = operands;
  const negated = of?.kind === "not";
  const from = negated ? of.reg : rowOf(of);
  if (to === undefined || from === undefined) return undefined;
  const none = (bits: Expr<"i32">): Expr<"i32"> => i32.eqz(bits);
  const all = (bits: Expr<"i32">): Expr<"i32"> => i32.eq(bits, -1);
  const results: Readonly<Record<string, (bits: Expr<"i32">) => Expr<"i32">>> = {
    ballot: (bits) => bits,
    all: (bits) => select(all(bits), i32.const(-1), i32.const(0)),
    any: (bits) => select(none(bits), i32.const(0), i32.const(-1)),
    uni: (bits) => select(i32.or(all(bits), none(bits)), i32.const(-1), i32.const(0)),
  };
  const result = results[parts[2] ?? ""];
  if (result === undefined) return undefined;
  return {
    rows: [from],
    begin: (e) => {
      const set = e.core("i32", "rowBits", i32.add(e.warp, e.context.row(from)));
      const bits = e.f.let(negated ? i32.xor(set, -1) : set);
      const value = e.f.let(result(bits));
      return () => e.write32(to, i32x4.splat(value));
    },
  };
}

/** redux.sync.{add,min,max,and,or,xor}: integers, so the order of lanes does not matter. */
function reduce({ parts, operands }: Instruction): WarpOp | undefined {
  const [to, of] = operands;
  const from = rowOf(of);
  const type = parts.at(-1) ?? "";
  if (to === undefined || from === undefined || !["b32", "u32", "s32"].includes(type)) {
    return undefined;
  }
  const isSigned = type === "s32";
  const functions: Readonly<Record<string, (a: Vec, b: Vec) => Vec>> = {
    add: i32x4.add,
    min: isSigned ? i32x4.minS : i32x4.minU,
    max: isSigned ? i32x4.maxS : i32x4.maxU,
    and: v128.and,
    or: v128.or,
    xor: v128.xor,
  };
  const combine = functions[parts[2] ?? ""];
  if (combine === undefined) return undefined;
  return {
    rows: [from],
    begin: (e) => {
      const { f } = e;
      const row = e.context.row(from);
      const result = f.let(v128.load(e.warp, row));
      for (let quad = 1; quad < 8; quad++) {
        f.set(result, combine(result, v128.load(e.warp, row + 16 * quad)));
      }
      for (const bytes of [OTHER_HALF, OTHER_LANE]) {
        f.set(result, combine(result, i8x16.shuffle(result, result, bytes)));
      }
      return () => e.write32(to, result);
    },
  };
}

const OTHER_HALF = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
const OTHER_LANE = [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11];

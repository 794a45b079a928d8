/**
 * Emits the lane-wise instructions of one straight stretch of a kernel as a WebAssembly function:
 * a loop over the 8 quads of a warp whose body keeps every PTX register in a v128 local (a pair
 * for 64-bit ones), loading it from the warp's register rows on first use and storing it back at
 * the end if it lives on. One function per stretch lets the engine optimise hot ones alone.
 */
import {
  type AnyArg,
  type Callable,
  call,
  type Expr,
  type FunctionBuilder,
  i32,
  i32x4,
  i64x2,
  type Local,
  v128,
} from "../../wasm/wasm.ts";
import { DUMP_ADDRESS, HEADER } from "../layout.ts";
import type { RegisterSet } from "../analysis/liveness.ts";
import { unsupported } from "../ptx/operands.ts";
import type { Instruction, Operand, Register } from "../ptx/ptx.ts";
import type { KernelContext } from "./kernel-context.ts";
import { special32, special64 } from "./special-registers.ts";
import { lowWords, splat32, splat64, type Vec, type Wide, widenHigh, widenLow } from "./vectors.ts";

interface WideLocals {
  readonly low: Local<"v128">;
  readonly high: Local<"v128">;
}

export class LaneEmitter {
  readonly f: FunctionBuilder;
  readonly context: KernelContext;
  readonly warp: Local<"i32">;
  /** Byte offset of the quad in a 32-bit row. */
  readonly quad: Local<"i32">;
  /** Warp base plus `quad`, and the same for rows of 64-bit registers. */
  readonly base32: Local<"i32">;
  readonly base64: Local<"i32">;
  /** Active lanes of the quad; absent in the variant for full warps. */
  readonly active: Local<"v128"> | undefined;
  readonly #narrow = new Map<Register, Local<"v128">>();
  readonly #wide = new Map<Register, WideLocals>();
  readonly #dirty = new Set<Register>();
  readonly #pools = {
    v128: [] as Local<"v128">[],
    i32: [] as Local<"i32">[],
    i64: [] as Local<"i64">[],
  };
  readonly #used = { v128: 0, i32: 0, i64: 0 };
  #guard: Vec | undefined;
  #instruction: Instruction | undefined;

  constructor(f: FunctionBuilder, context: KernelContext, masked: boolean) {
    this.f = f;
    this.context = context;
    this.warp = f.param("i32", 0);
    this.quad = f.local("i32");
    this.base32 = f.local("i32");
    this.base64 = f.local("i32");
    this.active = masked ? f.local("v128") : undefined;
  }

  /**
   * Emits the whole function; `live` are the registers that live on after the last instruction.
   * `begin` emits what is done once, before the loop, and gives what emits the part of a quad.
   */
  emit(
    instructions: readonly Instruction[],
    live: RegisterSet,
    begin: (emitter: LaneEmitter, instruction: Instruction) => () => void,
  ): void {
    const { f } = this;
    const parts = instructions.map((instruction) => {
      this.#instruction = instruction;
      return { instruction, emit: begin(this, instruction) };
    });
    f.set(this.quad, 0);
    f.set(this.base32, this.warp);
    f.set(this.base64, this.warp);
    f.loop((next) => {
      f.block((skip) => {
        if (this.active !== undefined) {
          f.set(this.active, v128.load(this.base32, HEADER.maskRow));
          f.brIf(skip, i32.eqz(v128.anyTrue(this.active)));
        }
        for (const { instruction, emit } of parts) {
          this.#instruction = instruction;
          this.#begin(instruction);
          emit();
        }
        this.#storeLive(live);
      });
      f.increment(this.base32, 16);
      f.increment(this.base64, 32);
      f.increment(this.quad, 16);
      f.brIf(next, i32.ltU(this.quad, 128));
    });
  }

  #begin(instruction: Instruction): void {
    this.#used.v128 = 0;
    this.#used.i32 = 0;
    this.#used.i64 = 0;
    this.#guard = undefined;
    const { guard } = instruction;
    if (guard === undefined) return;
    const mask = this.#local32(guard.reg);
    this.#guard = guard.negated ? this.keep(v128.not(mask)) : mask;
  }

  #storeLive(live: RegisterSet): void {
    const { f, active } = this;
    for (const register of this.#dirty) {
      if (!live.has(register.id)) continue;
      const row = this.context.row(register);
      const narrow = this.#narrow.get(register);
      if (narrow !== undefined) {
        const value =
          active === undefined
            ? narrow
            : v128.bitselect(narrow, v128.load(this.base32, row), active);
        f.do(v128.store(this.base32, value, row));
        continue;
      }
      const wide = this.#wide.get(register);
      if (wide === undefined) continue;
      for (const [half, at] of [
        [wide.low, row],
        [wide.high, row + 16],
      ] as const) {
        const mask = active && (at === row ? widenLow(active) : widenHigh(active));
        const value =
          mask === undefined ? half : v128.bitselect(half, v128.load(this.base64, at), mask);
        f.do(v128.store(this.base64, value, at));
      }
    }
  }

  get instruction(): Instruction {
    if (this.#instruction === undefined) throw new Error("no instruction is being emitted");
    return this.#instruction;
  }

  fail(why?: string): never {
    throw unsupported(this.instruction, why);
  }

  operand(index: number): Operand {
    return this.instruction.operands[index] ?? this.fail(`operand ${index + 1} is missing`);
  }

  /** Keeps a value in a temporary of this instruction, so that using it twice computes it once. */
  keep(value: Vec): Local<"v128"> {
    return this.#temporary("v128", value);
  }

  keep32(value: Expr<"i32">): Local<"i32"> {
    return this.#temporary("i32", value);
  }

  keep64(value: Expr<"i64">): Local<"i64"> {
    return this.#temporary("i64", value);
  }

  #temporary<T extends "v128" | "i32" | "i64">(type: T, value: Expr<T>): Local<T> {
    const pool = this.#pools[type] as Local<T>[];
    const at = this.#used[type]++;
    const local = pool[at] ?? this.f.local(type);
    pool[at] = local;
    this.f.set(local, value as never);
    return local;
  }

  /** A call of one of the emulator's core functions or scalar host functions. */
  core<T extends "v128" | "i32" | "i64" | "f32" | "f64">(
    type: T,
    name: string,
    ...args: AnyArg[]
  ): Expr<T> {
    return call(type, this.context.callee(name) as Callable, ...args);
  }

  #local32(register: Register): Local<"v128"> {
    const known = this.#narrow.get(register);
    if (known !== undefined) return known;
    const local = this.f.local("v128");
    this.#narrow.set(register, local);
    this.f.set(local, v128.load(this.base32, this.context.row(register)));
    return local;
  }

  #local64(register: Register): WideLocals {
    const known = this.#wide.get(register);
    if (known !== undefined) return known;
    const pair = { low: this.f.local("v128"), high: this.f.local("v128") };
    this.#wide.set(register, pair);
    const row = this.context.row(register);
    this.f.set(pair.low, v128.load(this.base64, row));
    this.f.set(pair.high, v128.load(this.base64, row + 16));
    return pair;
  }

  /** A 32-bit (or narrower, or predicate) operand. Float literals are given as f32 bits. */
  read32(operand: Operand): Vec {
    switch (operand.kind) {
      case "reg":
        if (operand.reg.bits > 32) {
          // Only the low word of a wide register can be meant.
          const wide = this.#local64(operand.reg);
          return this.keep(lowWords(wide));
        }
        return this.#local32(operand.reg);
      case "not":
        return v128.not(this.#local32(operand.reg));
      case "int":
        return splat32(Number(BigInt.asUintN(32, operand.value)));
      case "float":
        return splat32(Number(operand.width === 32 ? operand.bits : f32BitsOfF64(operand.bits)));
      case "symbol":
        return splat32(
          Number(BigInt.asUintN(32, this.context.addressOf(operand, this.instruction))),
        );
      case "special":
        return special32(this, operand.name);
      case "sink":
      case "function":
      case "address":
      case "vector":
      case "label":
      case "pair":
      case "list":
        return this.fail(`a ${operand.kind} cannot be read as a value`);
      default:
        return operand satisfies never;
    }
  }

  /** A 64-bit operand. Float literals are given as f64 bits. */
  read64(operand: Operand): Wide {
    const both = (value: bigint): Wide => {
      const vector = splat64(BigInt.asUintN(64, value));
      return { low: vector, high: vector };
    };
    switch (operand.kind) {
      case "reg":
        if (operand.reg.bits !== 64) {
          const narrow = this.#local32(operand.reg);
          return { low: i64x2.extendLowI32x4U(narrow), high: i64x2.extendHighI32x4U(narrow) };
        }
        return this.#local64(operand.reg);
      case "int":
        return both(operand.value);
      case "float":
        return both(operand.width === 64 ? operand.bits : f64BitsOfF32(operand.bits));
      case "symbol":
        return both(this.context.addressOf(operand, this.instruction));
      case "special":
        return special64(this, operand.name);
      case "not":
      case "sink":
      case "function":
      case "address":
      case "vector":
      case "label":
      case "pair":
      case "list":
        return this.fail(`a ${operand.kind} cannot be read as a value`);
      default:
        return operand satisfies never;
    }
  }

  /** Assigns a 32-bit (or narrower, or predicate) destination, under the guard. */
  write32(operand: Operand, value: Vec): void {
    if (operand.kind === "sink") return;
    if (operand.kind !== "reg") return this.fail("the destination is not a register");
    const { reg } = operand;
    if (reg.bits > 32) {
      const narrow = this.keep(value);
      this.write64(operand, {
        low: i64x2.extendLowI32x4U(narrow),
        high: i64x2.extendHighI32x4U(narrow),
      });
      return;
    }
    const result = this.#guard === undefined ? value : this.#select32(reg, value);
    let local = this.#narrow.get(reg);
    if (local === undefined) {
      local = this.f.local("v128");
      this.#narrow.set(reg, local);
    }
    this.f.set(local, result);
    this.#dirty.add(reg);
  }

  #select32(reg: Register, value: Vec): Vec {
    return this.#guard === undefined
      ? value
      : v128.bitselect(value, this.#local32(reg), this.#guard);
  }

  write64(operand: Operand, value: Wide): void {
    if (operand.kind === "sink") return;
    if (operand.kind !== "reg") return this.fail("the destination is not a register");
    const { reg } = operand;
    if (reg.bits !== 64) {
      const [low, high] = [this.keep(value.low), this.keep(value.high)];
      this.write32(operand, lowWords({ low, high }));
      return;
    }
    // Both halves are computed before either is assigned: they may read the register.
    let { low, high } = value;
    if (this.#guard !== undefined) {
      const old = this.#local64(reg);
      low = v128.bitselect(low, old.low, widenLow(this.#guard));
      high = v128.bitselect(high, old.high, widenHigh(this.#guard));
    }
    let pair = this.#wide.get(reg);
    if (pair === undefined) {
      pair = { low: this.f.local("v128"), high: this.f.local("v128") };
      this.#wide.set(reg, pair);
    }
    const first = this.keep(low);
    this.f.set(pair.high, high);
    this.f.set(pair.low, first);
    this.#dirty.add(reg);
  }

  /** Lanes whose memory is touched: active and guarded. Undefined when all four are. */
  lanesInUse(): Vec | undefined {
    if (this.active === undefined) return this.#guard;
    return this.#guard === undefined ? this.active : v128.and(this.active, this.#guard);
  }

  /** Redirects the lanes that are off to harmless memory. */
  masked(addresses: Vec): Vec {
    const lanes = this.lanesInUse();
    if (lanes === undefined) return addresses;
    return v128.bitselect(addresses, splat32(DUMP_ADDRESS), lanes);
  }

  /** A 32-bit operation done lane by lane with scalar instructions. */
  perLane32(operands: readonly Vec[], one: (...lanes: Expr<"i32">[]) => Expr<"i32">): Vec {
    const kept = operands.map((operand) => this.keep(operand));
    let result: Vec = splat32(0);
    for (let lane = 0; lane < 4; lane++) {
      const value = one(...kept.map((vector) => i32x4.extractLane(vector, lane)));
      result = lane === 0 ? i32x4.splat(value) : i32x4.replaceLane(result, lane, value);
    }
    return result;
  }

  /** A 64-bit operation done lane by lane; `narrow` operands give their 32-bit lanes. */
  perLane64(
    operands: readonly Wide[],
    narrow: readonly Vec[],
    one: (wide: readonly Expr<"i64">[], narrow: readonly Expr<"i32">[]) => Expr<"i64">,
  ): Wide {
    const kept = operands.map(({ low, high }) => ({ low: this.keep(low), high: this.keep(high) }));
    const keptNarrow = narrow.map((vector) => this.keep(vector));
    const lane = (index: number): Expr<"i64"> =>
      one(
        kept.map(({ low, high }) => i64x2.extractLane(index < 2 ? low : high, index & 1)),
        keptNarrow.map((vector) => i32x4.extractLane(vector, index)),
      );
    return {
      low: i64x2.replaceLane(i64x2.splat(lane(0)), 1, lane(1)),
      high: i64x2.replaceLane(i64x2.splat(lane(2)), 1, lane(3)),
    };
  }

  /** A 32-bit result from 64-bit operands, lane by lane. */
  perLane64To32(operands: readonly Wide[], one: (...wide: Expr<"i64">[]) => Expr<"i32">): Vec {
    const kept = operands.map(({ low, high }) => ({ low: this.keep(low), high: this.keep(high) }));
    let result: Vec = splat32(0);
    for (let lane = 0; lane < 4; lane++) {
      const value = one(
        ...kept.map(({ low, high }) => i64x2.extractLane(lane < 2 ? low : high, lane & 1)),
      );
      result = lane === 0 ? i32x4.splat(value) : i32x4.replaceLane(result, lane, value);
    }
    return result;
  }

  mapWide(operands: readonly Wide[], one: (...halves: Vec[]) => Vec): Wide {
    return {
      low: one(...operands.map((operand) => operand.low)),
      high: one(...operands.map((operand) => operand.high)),
    };
  }
}

const scratch = new DataView(new ArrayBuffer(8));

function f32BitsOfF64(bits: bigint): bigint {
  scratch.setBigUint64(0, bits);
  scratch.setFloat32(0, scratch.getFloat64(0));
  return BigInt(scratch.getUint32(0));
}

function f64BitsOfF32(bits: bigint): bigint {
  scratch.setUint32(0, Number(bits));
  scratch.setFloat64(0, scratch.getFloat32(0));
  return scratch.getBigUint64(0);
}

/**
 * A kernel as a WebAssembly module.
 *
 * Every block becomes stretches of lane-wise instructions (one function each) and warp-wide
 * operations between them, once for full warps and once for warps with lanes switched off; of full
 * warps, shuffles and the like are lane code too. `run` is the control flow:
 * it follows one warp through its blocks, keeps the stack of diverged lanes, and returns when the
 * warp ends, meets a barrier or has used up its fuel. All state lies in memory, so a warp resumes
 * by calling `run` again.
 */
import {
  type Callable,
  callVoid,
  type FunctionBuilder,
  i32,
  ModuleBuilder,
} from "../../wasm/wasm.ts";
import { type Block, buildCfg } from "../analysis/cfg.ts";
import { liveAtEnd, type RegisterSet, stepBack } from "../analysis/liveness.ts";
import { CORE } from "../core/core.ts";
import { tagged } from "../layout.ts";
import { defUse, unsupported } from "../ptx/operands.ts";
import type { Instruction, PtxFunction, Variable } from "../ptx/ptx.ts";
import { spaceOf } from "./addresses.ts";
import { Dispatcher, rowBits, setMask, synchronize, type WarpLocals } from "./dispatcher.ts";
import { type KernelContext, kernelContext, type ModuleAddresses } from "./kernel-context.ts";
import { LaneEmitter } from "./lane-emitter.ts";
import { laneOp } from "./lane-ops.ts";
import { matrixMultiply } from "./matrix-ops.ts";
import { type Piece, PieceBuilder } from "./pieces.ts";
import { constantsOf, type WarpOp, warpOp } from "./warp-ops.ts";

/** Scalar functions the host gives to kernels. */
export const HOST: Readonly<Record<string, Callable["params"]>> = {
  sin: ["f32"],
  cos: ["f32"],
  tanh: ["f32"],
  fmaF64: ["f64", "f64", "f64"],
  toFp8: ["f32", "i32"],
  fp8PairToF16x2: ["i32", "i32"],
};
const HOST_RESULT = { sin: "f32", cos: "f32", tanh: "f32", fmaF64: "f64" } as const;

/** An instruction the host executes, or looks at before it executes. */
export interface Site {
  readonly instruction: Instruction;
  readonly purpose: "check" | "operation";
}

export interface TranslateOptions {
  /** Calls the host before every memory access. */
  readonly instrumented: boolean;
  /** Linear address of the block counters: per block 8 bytes of warps, 8 of lanes. */
  readonly counters: number;
  readonly memoryPages: number;
  readonly fused: boolean;
}

export interface Translation {
  readonly bytes: Uint8Array;
  readonly context: KernelContext;
  readonly blocks: readonly Block[];
  /** What `site(warp, index, mask)` means, by index. */
  readonly sites: readonly Site[];
}

/** Translates a kernel whose calls are inlined. Throws `emulator/unsupported`. */
export function translate(
  fn: PtxFunction,
  moduleShared: readonly Variable[],
  addresses: ModuleAddresses,
  options: TranslateOptions,
): Translation {
  const module = new ModuleBuilder();
  module.importMemory("env", "memory", {
    initial: options.memoryPages,
    maximum: options.memoryPages,
  });
  const callees = new Map<string, Callable>();
  for (const [name, signature] of Object.entries(CORE)) {
    callees.set(name, module.importFunction("core", name, signature));
  }
  for (const [name, params] of Object.entries(HOST)) {
    const result = HOST_RESULT[name as keyof typeof HOST_RESULT] ?? "i32";
    callees.set(name, module.importFunction("host", name, { params, results: [result] }));
  }
  const site = module.importFunction("host", "site", {
    params: ["i32", "i32", "i32"],
    results: [],
  });
  callees.set("rowBits", rowBits(module));
  const context = kernelContext(fn, moduleShared, addresses, tagged, callees, options.fused);
  const blocks = buildCfg(fn);
  const translator = new KernelTranslator(module, context, blocks, site, options);
  translator.run();
  return { bytes: module.encode(), context, blocks, sites: translator.sites };
}

/** A block's pieces and the functions of their lane-wise instructions, where they have some. */
interface Code {
  readonly pieces: readonly Piece[];
  readonly functions: readonly (FunctionBuilder | undefined)[];
}

class KernelTranslator {
  readonly sites: Site[] = [];
  readonly #module: ModuleBuilder;
  readonly #context: KernelContext;
  readonly #blocks: readonly Block[];
  readonly #site: Callable;
  readonly #options: TranslateOptions;
  readonly #liveOut: readonly RegisterSet[];
  readonly #rowBits: Callable;
  readonly #setMask: FunctionBuilder;
  readonly #synchronize: FunctionBuilder;
  readonly #warpOps = new Map<Instruction, WarpOp>();
  readonly #siteNumbers = {
    check: new Map<Instruction, number>(),
    operation: new Map<Instruction, number>(),
  };

  constructor(
    module: ModuleBuilder,
    context: KernelContext,
    blocks: readonly Block[],
    site: Callable,
    options: TranslateOptions,
  ) {
    this.#module = module;
    this.#context = context;
    this.#blocks = blocks;
    this.#site = site;
    this.#options = options;
    this.#liveOut = liveAtEnd(blocks, context.fn.registers.length);
    this.#rowBits = context.callee("rowBits");
    this.#setMask = setMask(module);
    this.#synchronize = synchronize(module);
    const constants = constantsOf(context.fn);
    for (const instruction of blocks.flatMap((block) => block.instructions)) {
      const op = laneOp(instruction) === undefined ? warpOp(instruction, constants) : undefined;
      if (op !== undefined) this.#warpOps.set(instruction, op);
    }
  }

  #siteOf(instruction: Instruction, purpose: Site["purpose"]): number {
    const numbers = this.#siteNumbers[purpose];
    const site = numbers.get(instruction) ?? this.sites.push({ instruction, purpose }) - 1;
    numbers.set(instruction, site);
    return site;
  }

  run(): void {
    // Lane functions come first: their bodies are complete before `run` refers to them.
    const code = this.#blocks.map((block) => ({
      full: this.#codeOf(block, true),
      masked: this.#codeOf(block, false),
    }));
    const f = this.#module.func("run", ["i32"], ["i32"]);
    new Dispatcher(f, this.#blocks, this.#context, {
      rowBits: this.#rowBits,
      setMask: this.#setMask,
      counters: this.#options.counters,
      body: (block, state) => {
        const { full, masked } = code[block] ?? {};
        if (full === undefined || masked === undefined) return;
        if (full.pieces.length + masked.pieces.length === 0) return;
        f.if(
          i32.eq(state.mask, -1),
          () => this.#emitCode(f, state, full, true),
          () => this.#emitCode(f, state, masked, false),
        );
      },
    }).emit();
  }

  #codeOf(block: Block, isFull: boolean): Code {
    const pieces = this.#piecesOf(block, isFull);
    return { pieces, functions: this.#laneFunctions(pieces, block.index, isFull) };
  }

  #piecesOf(block: Block, isFull: boolean): Piece[] {
    let piece = new PieceBuilder();
    const pieces = [piece];
    const close = (): void => {
      piece = new PieceBuilder();
      pieces.push(piece);
    };
    for (const instruction of block.instructions) {
      const warpOp = isFull ? this.#warpOps.get(instruction) : undefined;
      if (warpOp === undefined && laneOp(instruction) === undefined) {
        piece.operation = instruction;
        close();
        continue;
      }
      // The host reads operands from their rows, so they must have been stored there.
      const isWatched = this.#options.instrumented && isChecked(instruction);
      const rows = warpOp?.rows ?? (isWatched ? defUse(instruction).uses : []);
      if (!piece.takes(instruction, rows)) close();
      piece.add(instruction, warpOp);
      if (isWatched) piece.checks.push(instruction);
      else if (this.#options.instrumented && warpOp !== undefined) piece.checks.push("sync");
    }
    return pieces.filter((p) => p.lanes.length > 0 || p.operation !== undefined);
  }

  /** Each piece's lane function, where it has one. */
  #laneFunctions(
    pieces: readonly Piece[],
    block: number,
    isFull: boolean,
  ): readonly (FunctionBuilder | undefined)[] {
    const live = this.#liveOut[block]?.clone();
    if (live === undefined) throw new Error("every block has a live set");
    const functions: (FunctionBuilder | undefined)[] = [];
    for (let at = pieces.length - 1; at >= 0; at--) {
      const piece = pieces[at];
      if (piece === undefined) continue;
      if (piece.operation !== undefined) stepBack(live, piece.operation);
      if (piece.lanes.length > 0) {
        const name = `block${block}_${at}${isFull ? "" : "_masked"}`;
        const f = this.#module.func(name, ["i32"], [], { export: false });
        new LaneEmitter(f, this.#context, !isFull).emit(piece.lanes, live, (emitter, instruction) =>
          this.#begin(emitter, instruction),
        );
        functions[at] = f;
      }
      for (const instruction of piece.lanes.toReversed()) stepBack(live, instruction);
    }
    return functions;
  }

  #begin(emitter: LaneEmitter, instruction: Instruction): () => void {
    const warpOp = this.#warpOps.get(instruction);
    if (warpOp !== undefined) return warpOp.begin(emitter);
    const op = laneOp(instruction);
    if (op === undefined) throw unsupported(instruction);
    return () => op(emitter);
  }

  #emitCode(
    f: FunctionBuilder,
    state: WarpLocals,
    { pieces, functions }: Code,
    isFull: boolean,
  ): void {
    for (const [at, piece] of pieces.entries()) {
      this.#emitPiece(f, state, piece, functions[at], isFull);
    }
  }

  #emitPiece(
    f: FunctionBuilder,
    state: WarpLocals,
    piece: Piece,
    code: FunctionBuilder | undefined,
    isFull: boolean,
  ): void {
    for (const check of piece.checks) {
      f.do(
        check === "sync"
          ? callVoid(this.#synchronize, state.warp)
          : callVoid(this.#site, state.warp, this.#siteOf(check, "check"), state.mask),
      );
    }
    if (code !== undefined) f.do(callVoid(code, state.warp));
    const { operation } = piece;
    if (operation === undefined) return;
    // Matrix instructions are defined for whole warps only; the host says so.
    const direct = isFull ? matrixMultiply(operation, this.#context) : undefined;
    if (direct === undefined) {
      f.do(callVoid(this.#site, state.warp, this.#siteOf(operation, "operation"), state.mask));
      return;
    }
    if (this.#options.instrumented && operation.parts[0] === "ldmatrix") {
      f.do(callVoid(this.#site, state.warp, this.#siteOf(operation, "check"), state.mask));
    }
    for (const statement of direct(state.warp)) f.do(statement);
  }
}

/** Accesses the sanitiser wants to see first. Parameters are checked when they are laid out. */
function isChecked(instruction: Instruction): boolean {
  switch (instruction.parts[0]) {
    case "ld":
    case "ldu":
    case "st":
    case "atom":
    case "red":
      return spaceOf(instruction) !== "param";
    default:
      return false;
  }
}

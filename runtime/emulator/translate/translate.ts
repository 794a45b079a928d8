/**
 * A kernel as a WebAssembly module.
 *
 * Every block becomes stretches of lane-wise instructions (one function each, in a variant for
 * full warps and a masked one) and warp-wide operations between them. `run` is the control flow:
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
import type { Instruction, PtxFunction, Register, Variable } from "../ptx/ptx.ts";
import { spaceOf } from "./addresses.ts";
import { Dispatcher, rowBits, setMask, type WarpLocals } from "./dispatcher.ts";
import { type KernelContext, kernelContext, type ModuleAddresses } from "./kernel-context.ts";
import { LaneEmitter } from "./lane-emitter.ts";
import { laneOp } from "./lane-ops.ts";
import { matrixMultiply } from "./matrix-ops.ts";

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
  const context = kernelContext(fn, moduleShared, addresses, tagged, callees, options.fused);
  const blocks = buildCfg(fn);
  const translator = new KernelTranslator(module, context, blocks, site, options);
  translator.run();
  return { bytes: module.encode(), context, blocks, sites: translator.sites };
}

/** Part of a block: host calls, then lane-wise instructions, then one warp-wide operation. */
interface Piece {
  readonly checks: Instruction[];
  readonly lanes: Instruction[];
  operation: Instruction | undefined;
}

class KernelTranslator {
  readonly sites: Site[] = [];
  readonly #module: ModuleBuilder;
  readonly #context: KernelContext;
  readonly #blocks: readonly Block[];
  readonly #site: Callable;
  readonly #options: TranslateOptions;
  readonly #liveOut: readonly RegisterSet[];
  readonly #rowBits: FunctionBuilder;
  readonly #setMask: FunctionBuilder;

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
    this.#rowBits = rowBits(module);
    this.#setMask = setMask(module);
  }

  #addSite(instruction: Instruction, purpose: Site["purpose"]): number {
    return this.sites.push({ instruction, purpose }) - 1;
  }

  run(): void {
    // Lane functions come first: their bodies are complete before `run` refers to them.
    const pieces = this.#blocks.map((block) => this.#piecesOf(block));
    const code = pieces.map((list, index) => this.#laneFunctions(list, this.#blocks[index]));
    const f = this.#module.func("run", ["i32"], ["i32"]);
    new Dispatcher(f, this.#blocks, this.#context, {
      rowBits: this.#rowBits,
      setMask: this.#setMask,
      counters: this.#options.counters,
      body: (block, state) => {
        for (const [at, piece] of (pieces[block] ?? []).entries()) {
          this.#emitPiece(f, state, piece, code[block]?.[at]);
        }
      },
    }).emit();
  }

  #piecesOf(block: Block): Piece[] {
    let piece: Piece = { checks: [], lanes: [], operation: undefined };
    const pieces = [piece];
    const defined = new Set<Register>();
    const close = (): void => {
      piece = { checks: [], lanes: [], operation: undefined };
      pieces.push(piece);
      defined.clear();
    };
    for (const instruction of block.instructions) {
      if (laneOp(instruction) === undefined) {
        piece.operation = instruction;
        close();
        continue;
      }
      if (this.#options.instrumented && isChecked(instruction)) {
        // The host reads operands from their rows, so they must have been stored there.
        if (defUse(instruction).uses.some((register) => defined.has(register))) close();
        piece.checks.push(instruction);
      }
      piece.lanes.push(instruction);
      for (const register of defUse(instruction).defs) defined.add(register);
    }
    return pieces.filter((p) => p.lanes.length > 0 || p.operation !== undefined);
  }

  /** Both variants of each piece's lane function, where it has one. */
  #laneFunctions(pieces: readonly Piece[], block: Block | undefined) {
    const index = block?.index ?? 0;
    const live = this.#liveOut[index]?.clone();
    if (live === undefined) throw new Error("every block has a live set");
    const functions: ({ full: FunctionBuilder; masked: FunctionBuilder } | undefined)[] = [];
    for (let at = pieces.length - 1; at >= 0; at--) {
      const piece = pieces[at];
      if (piece === undefined) continue;
      if (piece.operation !== undefined) stepBack(live, piece.operation);
      if (piece.lanes.length > 0) {
        const build = (masked: boolean): FunctionBuilder => {
          const name = `block${index}_${at}${masked ? "_masked" : ""}`;
          const f = this.#module.func(name, ["i32"], [], { export: false });
          new LaneEmitter(f, this.#context, masked).emit(piece.lanes, live, emitLane);
          return f;
        };
        functions[at] = { full: build(false), masked: build(true) };
      }
      for (const instruction of piece.lanes.toReversed()) stepBack(live, instruction);
    }
    return functions;
  }

  #emitPiece(
    f: FunctionBuilder,
    state: WarpLocals,
    piece: Piece,
    code: { full: FunctionBuilder; masked: FunctionBuilder } | undefined,
  ): void {
    for (const instruction of piece.checks) {
      const index = this.#addSite(instruction, "check");
      f.do(callVoid(this.#site, state.warp, index, state.mask));
    }
    if (code !== undefined) {
      f.if(
        i32.eq(state.mask, -1),
        () => f.do(callVoid(code.full, state.warp)),
        () => f.do(callVoid(code.masked, state.warp)),
      );
    }
    const { operation } = piece;
    if (operation === undefined) return;
    const index = this.#addSite(operation, "operation");
    const viaHost = (): void => f.do(callVoid(this.#site, state.warp, index, state.mask));
    const direct = matrixMultiply(operation, this.#context);
    if (direct === undefined) {
      viaHost();
      return;
    }
    const isWatched = this.#options.instrumented && operation.parts[0] === "ldmatrix";
    const check = isWatched ? this.#addSite(operation, "check") : undefined;
    // Matrix instructions are defined for whole warps only; the host says so.
    f.if(
      i32.eq(state.mask, -1),
      () => {
        if (check !== undefined) f.do(callVoid(this.#site, state.warp, check, state.mask));
        for (const statement of direct(state.warp)) f.do(statement);
      },
      viaHost,
    );
  }
}

function emitLane(emitter: LaneEmitter, instruction: Instruction): void {
  const op = laneOp(instruction);
  if (op === undefined) throw unsupported(instruction);
  op(emitter);
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

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
  call,
  callVoid,
  type FunctionBuilder,
  i32,
  i32x4,
  i64,
  type Label,
  type Local,
  ModuleBuilder,
  v128,
} from "../../wasm/wasm.ts";
import { type Block, buildCfg, type Terminator } from "../analysis/cfg.ts";
import { liveAtEnd, type RegisterSet, stepBack } from "../analysis/liveness.ts";
import { CORE } from "../core/core.ts";
import {
  CONSTANT_ROWS,
  HEADER,
  NEVER,
  SLICE,
  STACK_DEPTH,
  STACK_ENTRY,
  STATUS,
  tagged,
} from "../layout.ts";
import { defUse, unsupported } from "../ptx/operands.ts";
import type { Instruction, PtxFunction, Register, Variable } from "../ptx/ptx.ts";
import { spaceOf } from "./addresses.ts";
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

/** rowBits(row): the lane mask of a row as 32 bits. */
function rowBits(module: ModuleBuilder): FunctionBuilder {
  const f = module.func("rowBits", ["i32"], ["i32"], { export: false });
  const row = f.param("i32", 0);
  let bits = i32x4.bitmask(v128.load(row));
  for (let quad = 1; quad < 8; quad++) {
    bits = i32.or(bits, i32.shl(i32x4.bitmask(v128.load(row, 16 * quad)), 4 * quad));
  }
  f.result(bits);
  return f;
}

/** setMask(warp, mask): spreads the active lanes over the mask row. */
function setMask(module: ModuleBuilder): FunctionBuilder {
  const f = module.func("setMask", ["i32", "i32"], [], { export: false });
  const warp = f.param("i32", 0);
  const mask = f.let(i32x4.splat(f.param("i32", 1)));
  for (let quad = 0; quad < 8; quad++) {
    const bits = v128.load(i32.const(0), CONSTANT_ROWS.laneMaskEq + 16 * quad);
    const lanes = i32x4.eq(v128.and(mask, bits), bits);
    f.do(v128.store(warp, lanes, HEADER.maskRow + 16 * quad));
  }
  return f;
}

interface WarpLocals {
  readonly warp: Local<"i32">;
  readonly mask: Local<"i32">;
}

interface DispatcherParts {
  readonly rowBits: FunctionBuilder;
  readonly setMask: FunctionBuilder;
  readonly counters: number;
  body(block: number, state: WarpLocals): void;
}

/** Rounds of a loop that watches memory change before somebody else gets a turn. */
const SPIN_ROUNDS = 8;
/** Retries of atomics cost more than they seem, because a lock may be held by somebody waiting. */
const RETRY_COST = 20;

class Dispatcher {
  readonly #f: FunctionBuilder;
  readonly #blocks: readonly Block[];
  readonly #context: KernelContext;
  readonly #parts: DispatcherParts;
  readonly #warp: Local<"i32">;
  readonly #pc: Local<"i32">;
  readonly #mask: Local<"i32">;
  readonly #reconvergence: Local<"i32">;
  readonly #stack: Local<"i32">;
  readonly #fuel: Local<"i32">;
  readonly #taken: Local<"i32">;

  constructor(
    f: FunctionBuilder,
    blocks: readonly Block[],
    context: KernelContext,
    parts: DispatcherParts,
  ) {
    this.#f = f;
    this.#blocks = blocks;
    this.#context = context;
    this.#parts = parts;
    this.#warp = f.param("i32", 0);
    this.#pc = f.local("i32");
    this.#mask = f.local("i32");
    this.#reconvergence = f.local("i32");
    this.#stack = f.local("i32");
    this.#fuel = f.local("i32");
    this.#taken = f.local("i32");
  }

  emit(): void {
    const f = this.#f;
    const fields = [
      [this.#pc, HEADER.pc],
      [this.#mask, HEADER.mask],
      [this.#reconvergence, HEADER.reconvergence],
      [this.#stack, HEADER.stack],
      [this.#fuel, HEADER.fuel],
    ] as const;
    for (const [local, at] of fields) f.set(local, i32.load(this.#warp, at));
    f.loop((top) => {
      this.#popReconverged();
      const exit = f.beginBlock();
      const labels: Label[] = [];
      for (let at = this.#blocks.length; at > 0; at--) labels.push(f.beginBlock());
      f.brTable(this.#pc, labels.toReversed(), exit);
      for (const block of this.#blocks) {
        f.end();
        this.#block(block, top);
      }
      f.end();
      // Block numbers past the last stand for the end of the kernel.
      this.#exitLanes(this.#mask);
      f.br(top);
    });
    f.unreachable();
  }

  #save(status: number): void {
    const f = this.#f;
    f.do(i32.store(this.#warp, this.#pc, HEADER.pc));
    f.do(i32.store(this.#warp, this.#mask, HEADER.mask));
    f.do(i32.store(this.#warp, this.#reconvergence, HEADER.reconvergence));
    f.do(i32.store(this.#warp, this.#stack, HEADER.stack));
    f.do(i32.store(this.#warp, this.#fuel, HEADER.fuel));
    f.return(status);
  }

  /** At the block where diverged lanes meet, or with no lane left, goes on with the stack's top. */
  #popReconverged(): void {
    const f = this.#f;
    const popped = f.local("i32");
    f.set(popped, 0);
    f.block((done) => {
      f.loop((again) => {
        const isThere = i32.eq(this.#pc, this.#reconvergence);
        f.brIf(done, i32.eqz(i32.or(isThere, i32.eqz(this.#mask))));
        const base = i32.add(this.#warp, HEADER.stackBase);
        f.if(i32.eq(this.#stack, base), () => {
          f.set(this.#mask, 0);
          this.#save(STATUS.done);
        });
        f.set(this.#stack, i32.sub(this.#stack, STACK_ENTRY));
        f.set(this.#pc, i32.load(this.#stack, 0));
        const alive = i32.xor(i32.load(this.#warp, HEADER.exited), -1);
        f.set(this.#mask, i32.and(i32.load(this.#stack, 4), alive));
        f.set(this.#reconvergence, i32.load(this.#stack, 8));
        f.set(popped, 1);
        f.br(again);
      });
    });
    f.if(popped, () => this.#storeMask());
  }

  #storeMask(): void {
    this.#f.do(callVoid(this.#parts.setMask, this.#warp, this.#mask));
  }

  #exitLanes(lanes: Local<"i32">): void {
    const f = this.#f;
    const exited = i32.load(this.#warp, HEADER.exited);
    f.do(i32.store(this.#warp, i32.or(exited, lanes), HEADER.exited));
    f.set(this.#mask, i32.and(this.#mask, i32.xor(lanes, -1)));
  }

  #block(block: Block, top: Label): void {
    const f = this.#f;
    const counter = this.#parts.counters + 16 * block.index;
    const zero = i32.const(0);
    f.do(i64.store(zero, i64.add(i64.load(zero, counter), 1n), counter));
    const lanes = i64.extendI32U(i32.popcnt(this.#mask));
    f.do(i64.store(zero, i64.add(i64.load(zero, counter + 8), lanes), counter + 8));
    this.#parts.body(block.index, { warp: this.#warp, mask: this.#mask });
    this.#terminator(block, block.terminator, top);
  }

  /** Goes to a block; going back costs fuel, and without any the warp gives way. */
  #goTo(from: Block, target: number, top: Label): void {
    const f = this.#f;
    f.set(this.#pc, target);
    if (target <= from.index) {
      const { cost, status } = this.#loop(target, from.index);
      f.set(this.#fuel, i32.sub(this.#fuel, cost));
      f.if(i32.leS(this.#fuel, 0), () => this.#save(status));
    }
    f.br(top);
  }

  #loop(first: number, last: number): { readonly cost: number; readonly status: number } {
    const body = this.#blocks.slice(first, last + 1).flatMap((block) => block.instructions);
    const length = body.length + last - first + 1;
    if (body.some(watchesMemory)) {
      return { cost: Math.ceil(SLICE / SPIN_ROUNDS), status: STATUS.spinning };
    }
    return { cost: length * (body.some(retries) ? RETRY_COST : 1), status: STATUS.yielded };
  }

  #terminator(block: Block, terminator: Terminator, top: Label): void {
    const f = this.#f;
    switch (terminator.kind) {
      case "jump":
        this.#goTo(block, terminator.target, top);
        return;
      case "exit": {
        if (terminator.guard === undefined) f.set(this.#taken, this.#mask);
        else this.#selected(terminator.guard.reg, terminator.guard.negated);
        this.#exitLanes(this.#taken);
        f.set(this.#pc, terminator.next);
        if (terminator.guard !== undefined) this.#storeMask();
        f.br(top);
        return;
      }
      case "barrier":
        f.set(this.#pc, terminator.next);
        this.#save(STATUS.barrier);
        return;
      case "branch": {
        this.#selected(terminator.predicate, terminator.negated);
        f.if(i32.eqz(this.#taken), (label) => {
          void label;
          this.#goTo(block, terminator.next, top);
        });
        f.if(i32.eq(this.#taken, this.#mask), () => this.#goTo(block, terminator.taken, top));
        this.#diverge(block, terminator, top);
        return;
      }
      default:
        terminator satisfies never;
    }
  }

  /** Active lanes whose predicate selects them. */
  #selected(predicate: Register, negated: boolean): void {
    const row = i32.add(this.#warp, this.#context.row(predicate));
    const bits = call("i32", this.#parts.rowBits, row);
    const chosen = negated ? i32.xor(bits, -1) : bits;
    this.#f.set(this.#taken, i32.and(chosen, this.#mask));
  }

  #push(block: number, mask: Local<"i32">, reconvergence: Local<"i32"> | number): void {
    const f = this.#f;
    f.do(i32.store(this.#stack, block, 0));
    f.do(i32.store(this.#stack, mask, 4));
    f.do(i32.store(this.#stack, reconvergence, 8));
    f.set(this.#stack, i32.add(this.#stack, STACK_ENTRY));
  }

  /** Some lanes take the branch, some do not: one side runs, the other waits on the stack. */
  #diverge(
    block: Block,
    { taken, next }: Extract<Terminator, { kind: "branch" }>,
    top: Label,
  ): void {
    const f = this.#f;
    const exit = this.#blocks.length;
    const meet = block.reconvergence >= exit ? NEVER : block.reconvergence;
    const limit = i32.add(this.#warp, HEADER.stackBase + STACK_ENTRY * (STACK_DEPTH - 2));
    f.if(i32.geU(this.#stack, limit), () => this.#save(STATUS.stackOverflow));
    const rest = f.local("i32");
    f.set(rest, i32.and(this.#mask, i32.xor(this.#taken, -1)));
    if (meet !== NEVER) {
      // If the lanes are on their way to the same meeting point already, it is on the stack.
      f.if(i32.ne(this.#reconvergence, meet), () => {
        this.#push(meet, this.#mask, this.#reconvergence);
      });
    }
    // Lanes that only meet at the end must get there before others stop at a barrier for them.
    const reaches = (at: number): boolean => this.#blocks[at]?.reachesBarrier ?? false;
    const takenFirst = !(meet === NEVER && reaches(taken) && !reaches(next));
    const [first, second] = takenFirst
      ? [
          { to: taken, lanes: this.#taken },
          { to: next, lanes: rest },
        ]
      : [
          { to: next, lanes: rest },
          { to: taken, lanes: this.#taken },
        ];
    if (meet === NEVER) this.#push(second.to, second.lanes, this.#reconvergence);
    else if (second.to !== meet) this.#push(second.to, second.lanes, meet);
    f.set(this.#mask, first.lanes);
    if (meet !== NEVER) f.set(this.#reconvergence, meet);
    this.#storeMask();
    this.#goTo(block, first.to, top);
  }
}

/** True for what a warp does while it waits for another one. */
function watchesMemory({ parts }: Instruction): boolean {
  switch (parts[0]) {
    case "ld":
      return parts.includes("volatile") || parts.includes("acquire") || parts.includes("relaxed");
    case "mbarrier":
      return parts.includes("try_wait") || parts.includes("test_wait");
    case "nanosleep":
      return true;
    default:
      return false;
  }
}

function retries({ parts }: Instruction): boolean {
  return parts[0] === "atom" && (parts.includes("cas") || parts.includes("exch"));
}

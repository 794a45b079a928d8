/** The control flow of a kernel: the function `run` of translated modules. */
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
  type ModuleBuilder,
  v128,
} from "../../wasm/wasm.ts";
import type { Block, Terminator } from "../analysis/cfg.ts";
import {
  CHECK,
  CONSTANT_ROWS,
  HEADER,
  NEVER,
  SLICE,
  STACK_DEPTH,
  STACK_ENTRY,
  STATUS,
} from "../layout.ts";
import type { Instruction, Register } from "../ptx/ptx.ts";
import type { KernelContext } from "./kernel-context.ts";

/** rowBits(row): the lane mask of a row as 32 bits. */
export function rowBits(module: ModuleBuilder): FunctionBuilder {
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
export function setMask(module: ModuleBuilder): FunctionBuilder {
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

/** synchronize(warp): what the sanitiser notes when all lanes of the running warp have met. */
export function synchronize(module: ModuleBuilder): FunctionBuilder {
  const f = module.func("synchronize", ["i32"], [], { export: false });
  const zero = i32.const(0);
  const now = f.let(i32.add(i32.load(zero, CHECK.clock), 1));
  f.do(i32.store(zero, now, CHECK.clock));
  f.do(i32.store(f.param("i32", 0), now, HEADER.warpSync));
  const stamp = f.let(i32.shl(now, 1));
  f.do(i32.store(zero, stamp, CHECK.time));
  f.do(i32.store(zero, stamp, CHECK.warpSync));
  return f;
}

export interface WarpLocals {
  readonly warp: Local<"i32">;
  readonly mask: Local<"i32">;
}

export interface DispatcherParts {
  readonly rowBits: Callable;
  readonly setMask: FunctionBuilder;
  readonly counters: number;
  body(block: number, state: WarpLocals): void;
}

/** Rounds of a loop that watches memory change before somebody else gets a turn. */
const SPIN_ROUNDS = 8;
/** Retries of atomics cost more than they seem, because a lock may be held by somebody waiting. */
const RETRY_COST = 20;

/** Emits `run`: one warp's way through the blocks, and the stack of its diverged lanes. */
export class Dispatcher {
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

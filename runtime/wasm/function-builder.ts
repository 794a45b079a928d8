import { ByteWriter } from "./byte-writer.ts";
import {
  type Arg,
  type Expr,
  encoded,
  lift,
  operation,
  type Stmt,
  typeCode,
  type ValueType,
} from "./expression.ts";
import { i32 } from "./numeric.ts";

/** A function parameter or local variable; as an expression, its current value. */
export class Local<T extends ValueType = ValueType> implements Expr<T> {
  readonly type: T;
  readonly index: number;

  constructor(type: T, index: number) {
    this.type = type;
    this.index = index;
  }

  write(out: ByteWriter): void {
    out.byte(0x20);
    out.unsigned(this.index);
  }
}

/** A module-level variable; as an expression, its current value. */
export class GlobalVariable<T extends ValueType = ValueType> implements Expr<T> {
  readonly type: T;
  readonly index: number;

  constructor(type: T, index: number) {
    this.type = type;
    this.index = index;
  }

  write(out: ByteWriter): void {
    out.byte(0x23);
    out.unsigned(this.index);
  }
}

/** Where a branch goes: the end of a block or if, the start of a loop. */
export interface Label {
  readonly depth: number;
}

export interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Anything that can be called: an imported function or one being built. */
export interface Callable extends Signature {
  readonly index: number;
}

/** What an argument list may hold; each is checked against the callee's parameter type. */
export type AnyArg = Expr | number | bigint;

function callOperands(callee: Signature, args: readonly AnyArg[], name: string): Expr[] {
  if (args.length !== callee.params.length) {
    throw new TypeError(`${name} takes ${callee.params.length} arguments, not ${args.length}`);
  }
  return callee.params.map((type, at) => {
    const given = args[at] as AnyArg;
    const expression = lift(type, given as Arg<typeof type>);
    if (expression.type !== type) {
      throw new TypeError(`${name}: argument ${at} is ${expression.type}, not ${type}`);
    }
    return expression;
  });
}

/** A call of a function with exactly one result, as a value. */
export function call<T extends ValueType>(type: T, callee: Callable, ...args: AnyArg[]): Expr<T> {
  if (callee.results.length !== 1 || callee.results[0] !== type) {
    throw new TypeError(`the function gives (${callee.results.join(", ")}), not ${type}`);
  }
  return operation(
    type,
    0x10,
    callOperands(callee, args, "the function"),
    encoded((out) => out.unsigned(callee.index)),
  );
}

/** A call of a function without a result, as a statement. */
export function callVoid(callee: Callable, ...args: AnyArg[]): Stmt {
  if (callee.results.length !== 0) throw new TypeError("the function's result would be dropped");
  return operation(
    "void",
    0x10,
    callOperands(callee, args, "the function"),
    encoded((out) => out.unsigned(callee.index)),
  );
}

/**
 * Writes one function body, statement by statement. Bodies are encoded as they are built, so a
 * function of a million instructions costs no tree of itself.
 */
export class FunctionBuilder implements Callable {
  readonly name: string;
  readonly index: number;
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly #code = new ByteWriter();
  readonly #locals: ValueType[] = [];
  #depth = 0;

  /** Made by `ModuleBuilder.func`. */
  constructor(name: string, index: number, signature: Signature) {
    this.name = name;
    this.index = index;
    this.params = signature.params;
    this.results = signature.results;
  }

  /** The parameter at a position, whose declared type must be `type`. */
  param<T extends ValueType>(type: T, position: number): Local<T> {
    if (this.params[position] !== type) {
      throw new TypeError(
        `parameter ${position} of ${this.name} is ${this.params[position] ?? "absent"}, not ${type}`,
      );
    }
    return new Local(type, position);
  }

  /** A new local variable, zero at function entry. */
  local<T extends ValueType>(type: T): Local<T> {
    this.#locals.push(type);
    return new Local(type, this.params.length + this.#locals.length - 1);
  }

  /** A new local variable holding the value. */
  let<T extends ValueType>(value: Expr<T>): Local<T> {
    const variable = this.local(value.type);
    value.write(this.#code);
    this.#code.byte(0x21);
    this.#code.unsigned(variable.index);
    return variable;
  }

  /** Assigns a local or global. */
  set<T extends ValueType>(variable: Local<T> | GlobalVariable<T>, value: Arg<T>): void {
    lift(variable.type, value).write(this.#code);
    this.#code.byte(variable instanceof Local ? 0x21 : 0x24);
    this.#code.unsigned(variable.index);
  }

  /** Assigns a local and gives the value too. */
  tee<T extends ValueType>(variable: Local<T>, value: Arg<T>): Expr<T> {
    return operation(
      variable.type,
      0x22,
      [lift(variable.type, value)],
      encoded((out) => out.unsigned(variable.index)),
    );
  }

  /** `variable += amount`, for i32 locals. */
  increment(variable: Local<"i32">, amount: Arg<"i32">): void {
    this.set(variable, i32.add(variable, amount));
  }

  /** Executes a statement (a store, a call without a result). */
  do(statement: Stmt): void {
    statement.write(this.#code);
  }

  /** Computes a value for its effects only. */
  drop(value: Expr<ValueType>): void {
    value.write(this.#code);
    this.#code.byte(0x1a);
  }

  /** Calls a function with any number of results, assigning them to locals in order. */
  callMulti(callee: Callable, args: readonly AnyArg[], into: readonly Local[]): void {
    if (into.length !== callee.results.length) {
      throw new TypeError(`${callee.results.length} results, ${into.length} locals`);
    }
    for (const operand of callOperands(callee, args, this.name)) operand.write(this.#code);
    this.#code.byte(0x10);
    this.#code.unsigned(callee.index);
    for (const variable of into.toReversed()) {
      this.#code.byte(0x21);
      this.#code.unsigned(variable.index);
    }
  }

  #open(opcode: number): Label {
    this.#code.byte(opcode);
    this.#code.byte(0x40);
    this.#depth++;
    return { depth: this.#depth };
  }

  #close(): void {
    this.#code.byte(0x0b);
    this.#depth--;
  }

  #target(label: Label): number {
    const distance = this.#depth - label.depth;
    if (distance < 0) throw new RangeError("a branch cannot leave for a label that is closed");
    return distance;
  }

  /** Opens a block by hand, for generators whose nesting is not lexical; `end` closes the innermost. */
  beginBlock(): Label {
    return this.#open(0x02);
  }

  /** As `beginBlock`, for a loop. */
  beginLoop(): Label {
    return this.#open(0x03);
  }

  end(): void {
    this.#close();
  }

  /** A block; branching to its label leaves it. */
  block(body: (label: Label) => void): void {
    body(this.#open(0x02));
    this.#close();
  }

  /** A loop; branching to its label starts the next round, falling out of the body ends it. */
  loop(body: (label: Label) => void): void {
    body(this.#open(0x03));
    this.#close();
  }

  if(
    condition: Arg<"i32">,
    whenTrue: (label: Label) => void,
    whenFalse?: (label: Label) => void,
  ): void {
    lift("i32", condition).write(this.#code);
    const label = this.#open(0x04);
    whenTrue(label);
    if (whenFalse !== undefined) {
      this.#code.byte(0x05);
      whenFalse(label);
    }
    this.#close();
  }

  br(label: Label): void {
    this.#code.byte(0x0c);
    this.#code.unsigned(this.#target(label));
  }

  brIf(label: Label, condition: Arg<"i32">): void {
    lift("i32", condition).write(this.#code);
    this.#code.byte(0x0d);
    this.#code.unsigned(this.#target(label));
  }

  /** Branches to `labels[index]`, or to `otherwise` when the index is past the end. */
  brTable(index: Arg<"i32">, labels: readonly Label[], otherwise: Label): void {
    lift("i32", index).write(this.#code);
    this.#code.byte(0x0e);
    this.#code.unsigned(labels.length);
    for (const label of labels) this.#code.unsigned(this.#target(label));
    this.#code.unsigned(this.#target(otherwise));
  }

  /** Runs the body while the condition holds, testing it first. */
  while(condition: Expr<"i32">, body: () => void): void {
    this.block((exit) => {
      this.loop((next) => {
        this.brIf(exit, i32.eqz(condition));
        body();
        this.br(next);
      });
    });
  }

  /**
   * Runs the body for `variable` from its present value up to but not including `end` (unsigned), by
   * `step`. `end` is computed every round: give a local or a constant. The test sits at the bottom,
   * where engines compile it to one fused compare and branch.
   */
  upTo(variable: Local<"i32">, end: Arg<"i32">, step: Arg<"i32">, body: () => void): void {
    this.if(i32.ltU(variable, end), () => {
      this.loop((next) => {
        body();
        this.increment(variable, step);
        this.brIf(next, i32.ltU(variable, end));
      });
    });
  }

  /** Returns the values, in the order of the signature's results. */
  return(...values: AnyArg[]): void {
    this.result(...values);
    this.#code.byte(0x0f);
  }

  /** Leaves the values as the function's results: the last statement of a body. */
  result(...values: AnyArg[]): void {
    const wanted: Signature = { params: this.results, results: [] };
    for (const value of callOperands(wanted, values, `return from ${this.name}`)) {
      value.write(this.#code);
    }
  }

  /** Traps: control never gets here. */
  unreachable(): void {
    this.#code.byte(0x00);
  }

  /** Raw instruction bytes, for generators that encode on their own. */
  raw(bytes: ArrayLike<number>): void {
    this.#code.append(bytes);
  }

  /** Size of the body so far in bytes, locals excluded (engines refuse bodies over about 7 MB). */
  get size(): number {
    return this.#code.length;
  }

  /** The encoded body. */
  encode(): Uint8Array {
    if (this.#depth !== 0) throw new Error(`${this.name}: ${this.#depth} blocks are still open`);
    const groups: { type: ValueType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = groups.at(-1);
      if (last?.type === type) last.count++;
      else groups.push({ type, count: 1 });
    }
    return encoded((out) => {
      out.unsigned(groups.length);
      for (const { type, count } of groups) {
        out.unsigned(count);
        out.byte(typeCode[type]);
      }
      out.append(this.#code.bytes);
      out.byte(0x0b);
    });
  }
}

import type {
  Instruction,
  Operand,
  PtxFunction,
  PtxModule,
  Register,
  RegisterBits,
  Variable,
} from "./ptx.ts";
import { typeBytes } from "./ptx.ts";
import { unsupported } from "./operands.ts";

/** Device functions that exist in no module: the emulator itself answers them. */
const BUILTINS = new Set(["vprintf", "__assertfail", "cudaGraphSetConditional"]);

/**
 * A kernel with its calls replaced by the bodies they call, and the `.param` variables of those
 * calls by registers. Calls of `vprintf` and `__assertfail` remain, with registers as arguments.
 * Throws `emulator/unsupported` for recursion, calls through pointers and functions without a body.
 */
export function inlineCalls(kernel: PtxFunction, module: PtxModule): PtxFunction {
  const out = new Inliner(module, kernel);
  out.expand(kernel, new Map(), "", []);
  return out.result();
}

class Inliner {
  readonly #module: PtxModule;
  readonly #kernel: PtxFunction;
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();
  readonly #registers: Register[] = [];
  readonly #variables: Variable[] = [];
  readonly #slots = new Map<Variable, Map<number, { register: Register; bytes: number }>>();
  #calls = 0;

  constructor(module: PtxModule, kernel: PtxFunction) {
    this.#module = module;
    this.#kernel = kernel;
  }

  #register(name: string, bits: RegisterBits): Register {
    const register: Register = { id: this.#registers.length, name, bits };
    this.#registers.push(register);
    return register;
  }

  expand(
    fn: PtxFunction,
    params: ReadonlyMap<Variable, Variable>,
    prefix: string,
    stack: readonly string[],
  ): void {
    const registers = new Map(
      fn.registers.map((r) => [r, this.#register(r.name, r.bits)] as const),
    );
    const variables = new Map(params);
    for (const variable of fn.variables) {
      // Every call has a frame of its own; shared variables are one per block whoever declares them.
      const own = variable.space === "shared" || prefix === "" ? variable : { ...variable };
      variables.set(variable, own);
      if (!this.#variables.includes(own)) this.#variables.push(own);
    }
    const labelsAt = new Map<number, string[]>();
    for (const [label, at] of fn.labels) {
      labelsAt.set(at, [...(labelsAt.get(at) ?? []), prefix + label]);
    }
    const end = `${prefix}return`;
    const rename = (operand: Operand): Operand => renamed(operand, registers, variables, prefix);
    for (let at = 0; at <= fn.instructions.length; at++) {
      for (const label of labelsAt.get(at) ?? []) {
        this.#labels.set(label, this.#instructions.length);
      }
      const original = fn.instructions[at];
      if (original === undefined) break;
      const guard = original.guard && {
        reg: registers.get(original.guard.reg) ?? original.guard.reg,
        negated: original.guard.negated,
      };
      const instruction = { ...original, guard, operands: original.operands.map(rename) };
      if (original.parts[0] === "call") this.#call(instruction, stack);
      else if (original.parts[0] === "ret" && prefix !== "") {
        this.#instructions.push({
          ...instruction,
          opcode: "bra.uni",
          parts: ["bra", "uni"],
          operands: [{ kind: "label", name: end }],
        });
      } else this.#plain(instruction);
    }
    this.#labels.set(end, this.#instructions.length);
  }

  #call(call: Instruction, stack: readonly string[]): void {
    const at = call.operands.findIndex((operand) => operand.kind === "function");
    const target = call.operands[at];
    if (target?.kind !== "function") throw unsupported(call, "a call through a pointer");
    const lists = call.operands.map((operand) => (operand.kind === "list" ? operand.items : []));
    const results = at === 1 ? (lists[0] ?? []) : [];
    const args = lists[at + 1] ?? [];
    const callee = this.#module.functions.get(target.name);
    if (callee === undefined) {
      if (!BUILTINS.has(target.name)) throw unsupported(call, `${target.name} has no body here`);
      const values = args.map((arg) => this.#stored(asVariable(arg, call), call));
      const items = values.map((reg): Operand => ({ kind: "reg", reg }));
      this.#instructions.push({ ...call, operands: [target, { kind: "list", items }] });
      for (const result of results) {
        // printf's count of arguments: nobody looks, but the register must be written.
        const reg = this.#slot(asVariable(result, call), 0, 4, call);
        this.#instructions.push(move(call, reg, { kind: "int", value: 0n }));
      }
      return;
    }
    if (stack.includes(callee.name)) throw unsupported(call, `${callee.name} is recursive`);
    const params = new Map<Variable, Variable>();
    for (const [index, formal] of callee.formals.entries()) {
      params.set(formal, asVariable(args[index], call));
    }
    for (const [index, formal] of callee.returns.entries()) {
      params.set(formal, asVariable(results[index], call));
    }
    this.expand(callee, params, `call${this.#calls++}:`, [...stack, callee.name]);
  }

  /** Copies an instruction, turning accesses to call parameters into moves. */
  #plain(instruction: Instruction): void {
    const { parts, operands } = instruction;
    const address = operands.find((operand) => operand.kind === "address");
    const variable = address?.kind === "address" ? address.base : undefined;
    const isCallParam =
      parts[1] === "param" &&
      variable !== undefined &&
      "space" in variable &&
      !this.#kernel.formals.includes(variable);
    if (!isCallParam || address?.kind !== "address") {
      this.#instructions.push(instruction);
      return;
    }
    const bytes = typeBytes(parts.at(-1) ?? "") ?? 4;
    const other = operands.find((operand) => operand !== address);
    const items = other?.kind === "vector" ? other.items : other === undefined ? [] : [other];
    for (const [index, item] of items.entries()) {
      const slot = this.#slot(variable, address.offset + index * bytes, bytes, instruction);
      const slotOperand: Operand = { kind: "reg", reg: slot };
      if (parts[0] === "st") this.#instructions.push(move(instruction, slot, item));
      else if (item.kind === "reg") {
        this.#instructions.push(move(instruction, item.reg, slotOperand));
      }
    }
  }

  /** The register that holds what was stored at the start of a call parameter. */
  #stored(variable: Variable, call: Instruction): Register {
    const slot = this.#slots.get(variable)?.get(0);
    if (slot === undefined) throw unsupported(call, `${variable.name} is passed without a value`);
    return slot.register;
  }

  #slot(variable: Variable, offset: number, bytes: number, user: Instruction): Register {
    const slots = this.#slots.get(variable) ?? new Map();
    this.#slots.set(variable, slots);
    const known = slots.get(offset);
    if (known !== undefined) {
      if (known.bytes !== bytes) {
        throw unsupported(user, `${variable.name} is read in other pieces than it was written`);
      }
      return known.register;
    }
    const register = this.#register(`${variable.name}+${offset}`, bytes === 8 ? 64 : 32);
    slots.set(offset, { register, bytes });
    return register;
  }

  result(): PtxFunction {
    return {
      ...this.#kernel,
      instructions: this.#instructions,
      labels: this.#labels,
      registers: this.#registers,
      variables: this.#variables,
    };
  }
}

function move(like: Instruction, to: Register, from: Operand): Instruction {
  const type = to.bits === 64 ? "b64" : to.bits === 1 ? "pred" : "b32";
  return {
    ...like,
    opcode: `mov.${type}`,
    parts: ["mov", type],
    operands: [{ kind: "reg", reg: to }, from],
  };
}

function asVariable(operand: Operand | undefined, call: Instruction): Variable {
  if (operand?.kind !== "symbol")
    throw unsupported(call, "arguments that are not .param variables");
  return operand.variable;
}

function renamed(
  operand: Operand,
  registers: ReadonlyMap<Register, Register>,
  variables: ReadonlyMap<Variable, Variable>,
  prefix: string,
): Operand {
  const again = (item: Operand): Operand => renamed(item, registers, variables, prefix);
  switch (operand.kind) {
    case "reg":
    case "not":
      return { ...operand, reg: registers.get(operand.reg) ?? operand.reg };
    case "symbol":
      return { ...operand, variable: variables.get(operand.variable) ?? operand.variable };
    case "address": {
      const { base, coordinates } = operand;
      const moved =
        coordinates === undefined ? operand : { ...operand, coordinates: coordinates.map(again) };
      if (base === undefined) return moved;
      if ("bits" in base) return { ...moved, base: registers.get(base) ?? base };
      return { ...moved, base: variables.get(base) ?? base };
    }
    case "vector":
    case "list":
      return { ...operand, items: operand.items.map(again) };
    case "pair":
      return { kind: "pair", first: again(operand.first), second: again(operand.second) };
    case "label":
      return { kind: "label", name: prefix + operand.name };
    case "int":
    case "float":
    case "special":
    case "function":
    case "sink":
      return operand;
    default:
      return operand satisfies never;
  }
}

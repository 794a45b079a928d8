import { type OperandScope, parseOperand } from "./parse-operand.ts";
import { parseVariable } from "./parse-variable.ts";
import type {
  Instruction,
  Operand,
  PtxFunction,
  Register,
  RegisterBits,
  SourceLine,
  Variable,
} from "./ptx.ts";
import { typeBytes } from "./ptx.ts";
import type { TokenReader } from "./token-reader.ts";

/** What a function body may refer to outside itself. */
export interface ModuleScope {
  readonly variables: ReadonlyMap<string, Variable>;
  isFunction(name: string): boolean;
  file(index: number): string;
}

/** A `{ … }` of a body: inline assembly declares registers and labels of its own there. */
interface Scope {
  readonly id: number;
  readonly parent: Scope | undefined;
  readonly registers: Map<string, Register>;
  readonly variables: Map<string, Variable>;
  readonly labels: Set<string>;
}

export type FunctionBody = Pick<PtxFunction, "instructions" | "labels" | "registers" | "variables">;

/** Parses `{ … }` of a function; `formals` are the variables of its parameters. */
export function parseFunctionBody(
  reader: TokenReader,
  module: ModuleScope,
  formals: readonly Variable[],
): FunctionBody {
  return new BodyParser(reader, module, formals).parse();
}

const REGISTER_BITS: Readonly<Record<number, RegisterBits>> = {
  1: 8,
  2: 16,
  4: 32,
  8: 64,
  16: 128,
};

class BodyParser {
  readonly #reader: TokenReader;
  readonly #module: ModuleScope;
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();
  /** Label operands by unique use, resolved to the declaring scope at the end. */
  readonly #uses = new Map<string, { readonly name: string; readonly scope: Scope }>();
  readonly #registers: Register[] = [];
  readonly #variables: Variable[] = [];
  #scope: Scope;
  #scopes = 0;
  #source: SourceLine | undefined;

  constructor(reader: TokenReader, module: ModuleScope, formals: readonly Variable[]) {
    this.#reader = reader;
    this.#module = module;
    this.#scope = this.#newScope(undefined);
    for (const formal of formals) this.#scope.variables.set(formal.name, formal);
  }

  #newScope(parent: Scope | undefined): Scope {
    return {
      id: this.#scopes++,
      parent,
      registers: new Map(),
      variables: new Map(),
      labels: new Set(),
    };
  }

  parse(): FunctionBody {
    this.#reader.expect("{");
    for (let depth = 1; depth > 0; ) {
      if (this.#reader.accept("{")) {
        depth++;
        this.#scope = this.#newScope(this.#scope);
      } else if (this.#reader.accept("}")) {
        depth--;
        this.#scope = this.#scope.parent ?? this.#scope;
      } else {
        this.#statement();
      }
    }
    return {
      instructions: this.#instructions.map((instruction) => this.#resolveLabels(instruction)),
      labels: this.#labels,
      registers: this.#registers,
      variables: this.#variables,
    };
  }

  #statement(): void {
    const reader = this.#reader;
    const token = reader.peek();
    if (token.kind === "directive") this.#directive();
    else if (token.kind === "word" && reader.peek(1).text === ":") {
      this.#scope.labels.add(token.text);
      this.#labels.set(uniqueLabel(token.text, this.#scope), this.#instructions.length);
      reader.next();
      reader.next();
    } else if (token.kind === "word" || token.text === "@") this.#instruction();
    else if (!reader.accept(";")) throw reader.error("expected an instruction");
  }

  #directive(): void {
    const reader = this.#reader;
    const { text, line } = reader.next();
    switch (text) {
      case ".reg":
        this.#declareRegisters();
        return;
      case ".loc": {
        const place = (): { file: string; line: number } => ({
          file: this.#module.file(Number(reader.integer())),
          line: Number(reader.integer()),
        });
        const own = place();
        // `, function_name NAME, inlined_at FILE LINE COLUMN` may follow on the same line.
        let inlinedAt: { file: string; line: number } | undefined;
        while (reader.peek().line === line && reader.peek().kind !== "end") {
          if (reader.next().text === "inlined_at") inlinedAt = place();
        }
        this.#source = inlinedAt === undefined ? own : { ...own, inlinedAt };
        return;
      }
      case ".pragma":
        while (!reader.accept(";")) reader.next();
        return;
      case ".shared":
      case ".local":
      case ".param": {
        const space = text.slice(1) as "shared" | "local" | "param";
        do {
          const variable: Variable = parseVariable(reader, space, false);
          this.#scope.variables.set(variable.name, variable);
          this.#variables.push(variable);
        } while (reader.accept(","));
        reader.expect(";");
        return;
      }
      default:
        throw reader.error(`${text} is not a directive the emulator knows in a function`);
    }
  }

  #declareRegisters(): void {
    const reader = this.#reader;
    let bits: RegisterBits | undefined;
    while (reader.peek().kind === "directive") {
      const type = reader.next().text.slice(1);
      const bytes = typeBytes(type);
      if (bytes === undefined) throw reader.error(`.${type} is not a register type`);
      bits = type === "pred" ? 1 : REGISTER_BITS[bytes];
    }
    if (bits === undefined) throw reader.error("a register needs a type");
    do {
      const name = reader.expectKind("word").text;
      if (reader.accept("<")) {
        const count = Number(reader.integer());
        reader.expect(">");
        for (let index = 0; index < count; index++) this.#addRegister(`${name}${index}`, bits);
      } else this.#addRegister(name, bits);
    } while (reader.accept(","));
    reader.expect(";");
  }

  #addRegister(name: string, bits: RegisterBits): void {
    const register: Register = { id: this.#registers.length, name, bits };
    this.#registers.push(register);
    this.#scope.registers.set(name, register);
  }

  #instruction(): void {
    const reader = this.#reader;
    let guard: Instruction["guard"];
    if (reader.accept("@")) {
      const negated = reader.accept("!");
      const name = reader.expectKind("word").text;
      const reg = this.#lookup("registers", name);
      if (reg === undefined) throw reader.error(`${name} is not a register`);
      guard = { reg, negated };
    }
    const { text: opcode, line } = reader.expectKind("word");
    const operands: Operand[] = [];
    const scope = this.#operandScope();
    while (!reader.accept(";")) {
      operands.push(parseOperand(reader, scope));
      if (!reader.at(";")) reader.expect(",");
    }
    this.#instructions.push({
      opcode,
      parts: opcode.split("."),
      guard,
      operands,
      ptxLine: line,
      source: this.#source,
    });
  }

  #operandScope(): OperandScope {
    const scope = this.#scope;
    return {
      register: (name) => this.#lookup("registers", name),
      variable: (name) => this.#lookup("variables", name) ?? this.#module.variables.get(name),
      isFunction: (name) => this.#module.isFunction(name),
      label: (name) => {
        const use = uniqueLabel(name, scope);
        this.#uses.set(use, { name, scope });
        return use;
      },
    };
  }

  #lookup<K extends "registers" | "variables">(
    what: K,
    name: string,
  ): (K extends "registers" ? Register : Variable) | undefined {
    type Found = K extends "registers" ? Register : Variable;
    for (let scope: Scope | undefined = this.#scope; scope !== undefined; scope = scope.parent) {
      const found = scope[what].get(name);
      if (found !== undefined) return found as Found;
    }
    return undefined;
  }

  #resolveLabels(instruction: Instruction): Instruction {
    if (!instruction.operands.some((operand) => operand.kind === "label")) return instruction;
    const operands = instruction.operands.map((operand): Operand => {
      if (operand.kind !== "label") return operand;
      const use = this.#uses.get(operand.name);
      let scope = use?.scope;
      while (scope !== undefined && use !== undefined) {
        if (scope.labels.has(use.name)) {
          return { kind: "label", name: uniqueLabel(use.name, scope) };
        }
        scope = scope.parent;
      }
      throw this.#reader.error(
        `line ${instruction.ptxLine} names ${use?.name ?? operand.name}, which is declared nowhere`,
      );
    });
    return { ...instruction, operands };
  }
}

function uniqueLabel(name: string, scope: Scope): string {
  return `${name}@${scope.id}`;
}

import { tokenize } from "./lexer.ts";
import { parseFunctionBody } from "./parse-function.ts";
import { parseVariable } from "./parse-variable.ts";
import type { Param, PtxFunction, PtxModule, Variable } from "./ptx.ts";
import { TokenReader } from "./token-reader.ts";

/**
 * Parses a PTX module as NVRTC and nvcc print it (PTX ISA 7.x to 9.x, `compute_70` to
 * `compute_90a`). Throws `emulator/ptx-syntax` naming the line; what is syntactically fine but
 * not executable is found when a function is translated.
 */
export function parsePtx(text: string, path = "PTX"): PtxModule {
  return new ModuleParser(new TokenReader(tokenize(text, path), path)).parse();
}

interface Header {
  readonly name: string;
  readonly params: readonly Param[];
  readonly formals: readonly Variable[];
  readonly returns: readonly Variable[];
}

class ModuleParser {
  readonly #reader: TokenReader;
  readonly #variables = new Map<string, Variable>();
  readonly #functions = new Map<string, PtxFunction>();
  readonly #declared = new Set<string>();
  // Files are declared after the functions that name them, so lines keep a lazy name.
  readonly #files = new Map<number, { name: string }>();
  #version = "";
  #target = "";

  constructor(reader: TokenReader) {
    this.#reader = reader;
  }

  parse(): PtxModule {
    while (this.#reader.peek().kind !== "end") this.#directive();
    return {
      version: this.#version,
      target: this.#target,
      variables: this.#variables,
      functions: new Map(
        [...this.#functions].map(([name, fn]) => [name, this.#withFileNames(fn)] as const),
      ),
    };
  }

  #withFileNames(fn: PtxFunction): PtxFunction {
    return {
      ...fn,
      instructions: fn.instructions.map((instruction) => {
        const { source } = instruction;
        if (source === undefined) return instruction;
        const named = <T extends { readonly file: string }>(place: T): T => {
          const name = this.#files.get(Number(place.file))?.name;
          return { ...place, file: name ?? `file ${place.file}` };
        };
        const { inlinedAt } = source;
        const full = named(source);
        return {
          ...instruction,
          source: inlinedAt === undefined ? full : { ...full, inlinedAt: named(inlinedAt) },
        };
      }),
    };
  }

  #directive(): void {
    const reader = this.#reader;
    const { text, line } = reader.expectKind("directive");
    switch (text) {
      case ".version":
        this.#version = reader.next().text;
        return;
      case ".target":
        this.#target = reader.next().text;
        while (reader.accept(",")) reader.next();
        return;
      case ".address_size":
        if (reader.integer() !== 64n) throw reader.error("only 64-bit addresses are supported");
        return;
      case ".file": {
        const index = Number(reader.integer());
        this.#files.set(index, { name: reader.expectKind("string").text.slice(1, -1) });
        while (reader.accept(",")) reader.next();
        return;
      }
      case ".section":
        while (!reader.at("{")) reader.next();
        reader.skipGroup("{", "}");
        return;
      case ".loc":
        while (reader.peek().line === line && reader.peek().kind !== "end") reader.next();
        return;
      case ".visible":
      case ".weak":
      case ".common":
        return;
      case ".extern":
        this.#extern();
        return;
      case ".global":
      case ".const":
      case ".shared":
        this.#declare(text.slice(1) as "global" | "const" | "shared", false);
        return;
      case ".entry":
      case ".func":
        this.#function(text === ".entry");
        return;
      default:
        throw reader.error(`${text} is not a directive the emulator knows`);
    }
  }

  #extern(): void {
    const { text } = this.#reader.next();
    if (text === ".func") this.#function(false);
    else if (text === ".shared") this.#declare("shared", true);
    else throw this.#reader.error(`.extern ${text} needs another module, which there is none of`);
  }

  #declare(space: "global" | "const" | "shared", extern: boolean): void {
    do {
      const { count: _count, ...variable } = parseVariable(this.#reader, space, extern);
      this.#variables.set(variable.name, variable);
    } while (this.#reader.accept(","));
    this.#reader.expect(";");
  }

  #function(entry: boolean): void {
    const reader = this.#reader;
    const returns = reader.at("(") ? this.#params() : [];
    const name = reader.expectKind("word").text;
    const params = reader.at("(") ? this.#params() : [];
    const header: Header = { name, params: layout(params), formals: params, returns };
    this.#declared.add(name);
    let maxThreads: number | undefined;
    let cluster: [number, number, number] | undefined;
    while (reader.peek().kind === "directive") {
      const directive = reader.next().text;
      const numbers: number[] = [];
      while (reader.peek().kind === "int") {
        numbers.push(Number(reader.integer()));
        reader.accept(",");
      }
      if (directive === ".maxntid" || directive === ".reqntid") {
        maxThreads = numbers.reduce((product, n) => product * n, 1);
      } else if (directive === ".reqnctapercluster") {
        cluster = [numbers[0] ?? 1, numbers[1] ?? 1, numbers[2] ?? 1];
      }
    }
    if (reader.accept(";")) return;
    const body = parseFunctionBody(
      reader,
      {
        variables: this.#variables,
        isFunction: (symbol) => this.#declared.has(symbol),
        file: (index) => String(index),
      },
      [...params, ...returns],
    );
    this.#functions.set(name, { ...header, ...body, entry, maxThreads, cluster });
  }

  #params(): Variable[] {
    const reader = this.#reader;
    const params: Variable[] = [];
    reader.expect("(");
    while (!reader.accept(")")) {
      reader.expect(".param");
      const { count: _count, ...variable } = parseVariable(reader, "param", false);
      params.push(variable);
      if (!reader.at(")")) reader.expect(",");
    }
    return params;
  }
}

function layout(params: readonly Variable[]): Param[] {
  let end = 0;
  return params.map(({ name, size, align }) => {
    const offset = Math.ceil(end / align) * align;
    end = offset + size;
    return { name, size, align, offset };
  });
}

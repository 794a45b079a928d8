import { ByteWriter } from "./byte-writer.ts";
import {
  type Arg,
  constant,
  type Expr,
  encoded,
  lift,
  operation,
  type Stmt,
  typeCode,
  type ValueType,
} from "./expression.ts";
import {
  type AnyArg,
  type Callable,
  FunctionBuilder,
  GlobalVariable,
  type Signature,
} from "./function-builder.ts";

/** Memory size limits in 64 KiB pages; a shared memory must have a maximum (at most 65,536: 4 GiB). */
export interface MemoryLimits {
  readonly initial: number;
  readonly maximum?: number;
  readonly shared?: boolean;
}

const kinds = { function: 0, table: 1, memory: 2, global: 3 } as const;

/** Builds a WebAssembly module and encodes it. Imports come before the first function or global. */
export class ModuleBuilder {
  readonly #types: Uint8Array[] = [];
  readonly #typeIndex = new Map<string, number>();
  readonly #imports: Uint8Array[] = [];
  readonly #functions: FunctionBuilder[] = [];
  readonly #functionTypes: number[] = [];
  readonly #globals: Uint8Array[] = [];
  readonly #exports: Uint8Array[] = [];
  readonly #data: Uint8Array[] = [];
  readonly #tableEntries: Callable[] = [];
  #functionCount = 0;
  #globalCount = 0;
  #memory: Uint8Array | undefined;
  #hasMemory = false;

  #type(signature: Signature): number {
    const key = `${signature.params.join()}>${signature.results.join()}`;
    const known = this.#typeIndex.get(key);
    if (known !== undefined) return known;
    const index = this.#types.length;
    this.#types.push(
      encoded((out) => {
        out.byte(0x60);
        for (const list of [signature.params, signature.results]) {
          out.unsigned(list.length);
          for (const type of list) out.byte(typeCode[type]);
        }
      }),
    );
    this.#typeIndex.set(key, index);
    return index;
  }

  #import(module: string, name: string, kind: number, rest: (out: ByteWriter) => void): void {
    if (this.#functions.length > 0 || this.#globals.length > 0) {
      throw new Error(
        `import ${module}.${name} comes after a definition: imports are numbered first`,
      );
    }
    this.#imports.push(
      encoded((out) => {
        out.name(module);
        out.name(name);
        out.byte(kind);
        rest(out);
      }),
    );
  }

  /** Imports the module's memory. */
  importMemory(module: string, name: string, limits: MemoryLimits): void {
    this.#claimMemory();
    this.#import(module, name, kinds.memory, (out) => writeLimits(out, limits));
  }

  /** Defines the module's memory, exporting it if named. */
  defineMemory(limits: MemoryLimits, exportAs?: string): void {
    this.#claimMemory();
    this.#memory = encoded((out) => writeLimits(out, limits));
    if (exportAs !== undefined) this.#export(exportAs, kinds.memory, 0);
  }

  #claimMemory(): void {
    if (this.#hasMemory) throw new Error("a module has one memory");
    this.#hasMemory = true;
  }

  /** Imports a host function. */
  importFunction(module: string, name: string, signature: Signature): Callable {
    const type = this.#type(signature);
    this.#import(module, name, kinds.function, (out) => out.unsigned(type));
    return { ...signature, index: this.#functionCount++ };
  }

  /** Imports a global variable. */
  importGlobal<T extends ValueType>(
    module: string,
    name: string,
    type: T,
    mutable = false,
  ): GlobalVariable<T> {
    this.#import(module, name, kinds.global, (out) => {
      out.byte(typeCode[type]);
      out.byte(mutable ? 1 : 0);
    });
    return new GlobalVariable(type, this.#globalCount++);
  }

  /** A new mutable scalar global of this module with its initial value. */
  global<T extends Exclude<ValueType, "v128">>(
    type: T,
    initial: number | bigint,
  ): GlobalVariable<T> {
    this.#globals.push(
      encoded((out) => {
        out.byte(typeCode[type]);
        out.byte(1);
        constant(type, initial).write(out);
        out.byte(0x0b);
      }),
    );
    return new GlobalVariable(type, this.#globalCount++);
  }

  /** A new function. Its index is known at once, so bodies may call functions not yet filled in. */
  func(
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[] = [],
    options: { readonly export?: boolean } = {},
  ): FunctionBuilder {
    const builder = new FunctionBuilder(name, this.#functionCount++, { params, results });
    this.#functionTypes.push(this.#type(builder));
    this.#functions.push(builder);
    if (options.export ?? true) this.#export(name, kinds.function, builder.index);
    return builder;
  }

  /** Puts a function into the module's table and gives its slot, for `callIndirect`. */
  tableSlot(target: Callable): number {
    return this.#tableEntries.push(target) - 1;
  }

  /** A call through the table, as a value; traps if the slot's signature differs. */
  callIndirect<T extends ValueType>(
    type: T,
    params: readonly ValueType[],
    slot: Arg<"i32">,
    ...args: AnyArg[]
  ): Expr<T> {
    return this.#indirect(type, { params, results: [type] }, slot, args);
  }

  /** A call through the table of a function without a result. */
  callIndirectVoid(params: readonly ValueType[], slot: Arg<"i32">, ...args: AnyArg[]): Stmt {
    return this.#indirect("void", { params, results: [] }, slot, args);
  }

  #indirect<T extends ValueType | "void">(
    type: T,
    signature: Signature,
    slot: Arg<"i32">,
    args: readonly AnyArg[],
  ): Expr<T> {
    if (args.length !== signature.params.length) {
      throw new TypeError(
        `the call takes ${signature.params.length} arguments, not ${args.length}`,
      );
    }
    const operands = signature.params.map((param, at) => lift(param, args[at] as Arg<ValueType>));
    const typeIndex = this.#type(signature);
    return operation(
      type,
      0x11,
      [...operands, lift("i32", slot)],
      encoded((out) => {
        out.unsigned(typeIndex);
        out.byte(0);
      }),
    );
  }

  /** Bytes copied to an address when the module is instantiated. */
  data(address: number, bytes: Uint8Array): void {
    this.#data.push(
      encoded((out) => {
        out.byte(0);
        constant("i32", address).write(out);
        out.byte(0x0b);
        out.unsigned(bytes.length);
        out.append(bytes);
      }),
    );
  }

  #export(name: string, kind: number, index: number): void {
    this.#exports.push(
      encoded((out) => {
        out.name(name);
        out.byte(kind);
        out.unsigned(index);
      }),
    );
  }

  /** The module's bytes. */
  encode(): Uint8Array {
    const out = new ByteWriter(4096);
    out.append([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    const indices = this.#functionTypes.map((type) => encoded((entry) => entry.unsigned(type)));
    const bodies = this.#functions.map((builder) => {
      const body = builder.encode();
      return { length: encoded((entry) => entry.unsigned(body.length)), body };
    });
    const table = this.#tableEntries;

    section(out, 1, this.#types);
    section(out, 2, this.#imports);
    section(out, 3, indices);
    if (table.length > 0) {
      section(out, 4, [
        encoded((entry) => {
          entry.append([0x70, 0x00]);
          entry.unsigned(table.length);
        }),
      ]);
    }
    if (this.#memory !== undefined) section(out, 5, [this.#memory]);
    section(out, 6, this.#globals);
    section(out, 7, this.#exports);
    if (table.length > 0) {
      section(out, 9, [
        encoded((entry) => {
          entry.append([0x00, 0x41, 0x00, 0x0b]);
          entry.unsigned(table.length);
          for (const target of table) entry.unsigned(target.index);
        }),
      ]);
    }
    section(
      out,
      10,
      bodies.flatMap(({ length, body }) => [length, body]),
      bodies.length,
    );
    section(out, 11, this.#data);
    return out.bytes.slice();
  }
}

function writeLimits(out: ByteWriter, limits: MemoryLimits): void {
  const shared = limits.shared ?? false;
  if (shared && limits.maximum === undefined) {
    throw new RangeError("a shared memory needs a maximum size");
  }
  out.byte((limits.maximum === undefined ? 0 : 1) | (shared ? 2 : 0));
  out.unsigned(limits.initial);
  if (limits.maximum !== undefined) out.unsigned(limits.maximum);
}

/** A section of `count` entries (by default one per chunk); empty sections are left out. */
function section(
  out: ByteWriter,
  id: number,
  chunks: readonly Uint8Array[],
  count = chunks.length,
): void {
  if (count === 0) return;
  const header = encoded((entry) => entry.unsigned(count));
  const size = chunks.reduce((total, chunk) => total + chunk.length, header.length);
  out.byte(id);
  out.unsigned(size);
  out.append(header);
  for (const chunk of chunks) out.append(chunk);
}

// The part of the WebAssembly JavaScript API this project uses. TypeScript ships these declarations
// only with the DOM library, whose browser globals have no place here.
declare namespace WebAssembly {
  interface MemoryDescriptor {
    /** In 64 KiB pages. */
    readonly initial: number;
    readonly maximum?: number;
    readonly shared?: boolean;
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    /** A SharedArrayBuffer when the memory is shared; growing replaces the object. */
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
    grow(pages: number): number;
  }
  interface TableDescriptor {
    readonly element: "anyfunc" | "externref";
    readonly initial: number;
    readonly maximum?: number;
  }
  class Table {
    constructor(descriptor: TableDescriptor, value?: unknown);
    readonly length: number;
    get(index: number): unknown;
    set(index: number, value?: unknown): void;
    grow(count: number, value?: unknown): number;
  }
  class Global {
    constructor(
      descriptor: { readonly value: string; readonly mutable?: boolean },
      value?: unknown,
    );
    value: unknown;
  }
  class Module {
    constructor(bytes: Uint8Array | ArrayBuffer);
  }
  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Exports;
  }
  class CompileError extends Error {}
  class LinkError extends Error {}
  class RuntimeError extends Error {}
  type ExportedFunction = (...args: (number | bigint)[]) => unknown;
  type Exports = Readonly<Record<string, ExportedFunction | Memory | Table | Global>>;
  // Imported host functions take whatever parameter types their WebAssembly signature has.
  type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  function validate(bytes: Uint8Array | ArrayBuffer): boolean;
  function compile(bytes: Uint8Array | ArrayBuffer): Promise<Module>;
  function instantiate(module: Module, imports?: Imports): Promise<Instance>;
}

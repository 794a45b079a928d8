import type {
  Access,
  BufferId,
  KernelArgument,
  KernelSource,
  Launch,
  TensorMap,
  Traffic,
  Tunable,
} from "../src/ir/program.ts";

/** A kernel and one launch of it. */
export interface KernelCall {
  readonly kernel: KernelSource;
  readonly launch: Launch;
}

/**
 * The elements of an operand that is computed where it is used: given a C++ expression for a flat
 * element index, a C++ expression for the element. What it reads becomes a parameter of the entry.
 */
export type Elements = (entry: KernelEntry) => (index: string) => string;

/** Elements of a buffer as they are. `type` is the C++ element type. */
export function elementsOf(buffer: BufferId, type: string, name: string): Elements {
  return (entry) => {
    const pointer = entry.buffer(name, buffer, type, "read");
    return (index) => `${pointer}[${index}]`;
  };
}

/** Fresh memory for a kernel's own use. */
export interface Allocator {
  /** `bytes` of arena memory, alive for this launch. */
  scratch(bytes: number, label: string): BufferId;
  /** `count` i32 zeros that the kernel leaves as zeros. */
  counters(count: number, label: string): BufferId;
}

/** What a kernel file puts around the parameters: the rest of the translation unit. */
export interface EntryText {
  /** Says op, shape, types and fusion; a hash of the text is appended. */
  readonly name: string;
  /** A line or more for the reader: what is computed. */
  readonly comment: string;
  /** Header names: `kernels/linear/linear.cuh`. */
  readonly includes: readonly string[];
  /** The specialisation block: constants and types, at file scope. */
  readonly config: string;
  /**
   * Statements that may run while the kernels before this one still do: they read weights and
   * constants, never what a launch writes.
   */
  readonly prologue?: string | undefined;
  /** Statements of the kernel; they use the parameter names that registration returned. */
  readonly body: string;
  readonly threads: number;
  /** Second argument of __launch_bounds__. */
  readonly minBlocks?: number;
  readonly sharedBytes?: number;
  /** Blocks of a cluster (compute capability 9.0), which divide the grid. */
  readonly cluster?: readonly [x: number, y: number, z: number] | undefined;
  /**
   * Says that what the kernel writes through one parameter it reads through no other, at least not
   * in another thread: loads may then run ahead of stores.
   */
  readonly restrict?: boolean;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly label: string;
  readonly traffic: Traffic;
  readonly tunable?: Tunable | undefined;
}

/**
 * Collects the parameters of one kernel while its text is written, so that signature and arguments
 * cannot disagree. Names depend on the order of registration only: layers that differ in nothing but
 * their buffers get the same text.
 */
export class KernelEntry {
  readonly #family: string;
  readonly #declarations: string[] = [];
  readonly #args: KernelArgument[] = [];
  readonly #names = new Map<string, number>();
  readonly #includes = new Set<string>();
  readonly #definitions: string[] = [];

  constructor(family: string) {
    this.#family = family;
  }

  /** A pointer parameter; returns its name. `type` is the element type without const. */
  buffer(name: string, buffer: BufferId, type: string, access: Access): string {
    const unique = this.#unique(name);
    const constant = access === "read" ? "const " : "";
    this.#declarations.push(`${constant}${type}* ${unique}`);
    this.#args.push({ name: unique, type: "buffer", buffer, access });
    return unique;
  }

  /** Pointers by value: a parameter with the member `at`, `type* at[N]`. */
  table(name: string, buffers: readonly BufferId[], type: string, access: Access): string {
    const unique = this.#unique(name);
    const constant = access === "read" ? "const " : "";
    this.#declarations.push(
      `const __grid_constant__ Table<${constant}${type}, ${buffers.length}> ${unique}`,
    );
    this.#args.push({ name: unique, type: "table", buffers, access });
    return unique;
  }

  /** A tensor map by value, of a matrix that is only read; needs compute capability 9.0 and NVRTC 12. */
  tensorMap(name: string, buffer: BufferId, map: TensorMap): string {
    const unique = this.#unique(name);
    this.#declarations.push(`const __grid_constant__ TensorMap ${unique}`);
    this.#args.push({ name: unique, type: "tensor-map", buffer, access: "read", map });
    return unique;
  }

  i32(name: string, value: number): string {
    return this.#value(name, "i32", "int", value);
  }

  f32(name: string, value: number): string {
    return this.#value(name, "f32", "float", value);
  }

  /** The host-shared ring of output slots. */
  ring(): string {
    this.#declarations.push("unsigned char* ring");
    this.#args.push({ name: "ring", type: "ring" });
    return "ring";
  }

  /** A header beyond those the kernel's file includes itself. */
  include(header: string): void {
    this.#includes.add(header);
  }

  /** A local variable at the start of the body; returns its name. `value` may use earlier ones. */
  define(name: string, value: string): string {
    const unique = this.#unique(name);
    this.#definitions.push(`const auto ${unique} = ${value};`);
    return unique;
  }

  /** Names the text declares itself: parameters registered from here on get others. */
  reserve(...names: readonly string[]): void {
    for (const name of names) this.#unique(name);
  }

  finish(text: EntryText): KernelCall {
    const includes = new Set(["prelude/all.cuh", ...this.#includes, ...text.includes]);
    const body = [
      "grid_launch_dependents();",
      ...(text.prologue === undefined ? [] : text.prologue.trim().split("\n")),
      "grid_dependency_wait();",
      ...this.#definitions,
      ...text.body.trim().split("\n"),
    ];
    const bounds = text.minBlocks === undefined ? "" : `, ${text.minBlocks}`;
    const cluster =
      text.cluster === undefined ? "" : `__cluster_dims__(${text.cluster.join(", ")}) `;
    // Never of what is read: the compiler would take such loads ahead of the wait, or through a cache
    // that does not see what the kernel before has written.
    const parameters = this.#declarations.map((declaration) =>
      text.restrict && !declaration.startsWith("const ")
        ? declaration.replace("* ", "* __restrict__ ")
        : declaration,
    );
    const source = (entry: string): string =>
      [
        ...text.comment.split("\n").map((line) => `// ${line}`.trimEnd()),
        ...[...includes].map((name) => `#include "${name}"`),
        "",
        text.config.trim(),
        "",
        `extern "C" __global__ void ${cluster}__launch_bounds__(${text.threads}${bounds})`,
        `${entry}(${parameters.join(", ")}) {`,
        ...body.map((line) => (line === "" ? "" : `  ${line}`)),
        "}",
        "",
      ].join("\n");
    const entry = `${text.name}_${hash(source("_"))}`;
    return {
      kernel: {
        entry,
        family: this.#family,
        source: source(entry),
        threads: text.threads,
        sharedBytes: text.sharedBytes ?? 0,
      },
      launch: {
        kernel: entry,
        grid: text.grid,
        args: this.#args,
        label: text.label,
        traffic: text.traffic,
        ...(text.tunable === undefined ? {} : { tunable: text.tunable }),
      },
    };
  }

  #value(name: string, type: "i32" | "f32", declared: string, value: number): string {
    const unique = this.#unique(name);
    this.#declarations.push(`${declared} ${unique}`);
    this.#args.push({ name: unique, type, value });
    return unique;
  }

  #unique(name: string): string {
    const used = this.#names.get(name) ?? 0;
    this.#names.set(name, used + 1);
    return used === 0 ? name : `${name}_${used}`;
  }
}

/** C++ name of a storage type; in the prelude where C++ has none. */
export const cudaTypes = {
  f32: "float",
  f16: "f16",
  bf16: "bf16",
  i32: "int",
  u64: "u64",
} as const;

/** A float constant's exact text. */
export function floatLiteral(value: number): string {
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded)) throw new RangeError(`${value} has no float literal`);
  const text = String(rounded);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** FNV-1a, 24 bits: enough to tell the kernels of one program apart by name. */
function hash(text: string): string {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return ((state >>> 0) & 0xffffff).toString(16).padStart(6, "0");
}

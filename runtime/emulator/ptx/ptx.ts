/** PTX as data: what the parser makes and every later stage of the emulator reads. */

/** Widths a register can have. Predicates are 1 bit wide. */
export type RegisterBits = 1 | 8 | 16 | 32 | 64 | 128;

/** A virtual register; identity is the object, `id` numbers it within its function. */
export interface Register {
  readonly id: number;
  readonly name: string;
  readonly bits: RegisterBits;
}

/** A variable of a state space: shared, local, const, global or a call parameter. */
export interface Variable {
  readonly name: string;
  readonly space: "shared" | "local" | "const" | "global" | "param";
  readonly align: number;
  /** Bytes; 0 for `.extern .shared` arrays, whose size the launch gives. */
  readonly size: number;
  readonly extern: boolean;
  /** Initial bytes of const and global variables; absent means zeros. */
  readonly init?: Uint8Array;
}

export type Operand =
  | { readonly kind: "reg"; readonly reg: Register }
  | { readonly kind: "int"; readonly value: bigint }
  /** `bits` is the pattern as written (0f: 32 bits, 0d: 64 bits), or of a decimal as f64. */
  | { readonly kind: "float"; readonly width: 32 | 64; readonly bits: bigint }
  | { readonly kind: "special"; readonly name: string }
  | { readonly kind: "symbol"; readonly variable: Variable; readonly offset: number }
  | { readonly kind: "function"; readonly name: string }
  | {
      readonly kind: "address";
      readonly base: Register | Variable | undefined;
      readonly offset: number;
      /** Of `[map, {column, row}]`: where in a tensor a box begins, innermost first. */
      readonly coordinates?: readonly Operand[];
    }
  | { readonly kind: "vector"; readonly items: readonly Operand[] }
  | { readonly kind: "label"; readonly name: string }
  /** `d|p`: a value and a predicate result. */
  | { readonly kind: "pair"; readonly first: Operand; readonly second: Operand }
  | { readonly kind: "not"; readonly reg: Register }
  | { readonly kind: "list"; readonly items: readonly Operand[] }
  | { readonly kind: "sink" };

/** Where an instruction came from. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
  /** The call it was inlined at, when it stands in an inlined function. */
  readonly inlinedAt?: { readonly file: string; readonly line: number };
}

export interface Instruction {
  /** The whole opcode, for example `ld.global.nc.v4.u32`. */
  readonly opcode: string;
  /** `opcode` at its dots. */
  readonly parts: readonly string[];
  readonly guard: { readonly reg: Register; readonly negated: boolean } | undefined;
  readonly operands: readonly Operand[];
  /** Line of the PTX text, from 1. */
  readonly ptxLine: number;
  /** CUDA line, when compiled with line information. */
  readonly source: SourceLine | undefined;
}

export interface Param {
  readonly name: string;
  readonly size: number;
  readonly align: number;
  /** Bytes from the start of the parameter block. */
  readonly offset: number;
}

export interface PtxFunction {
  readonly name: string;
  readonly entry: boolean;
  readonly params: readonly Param[];
  /** Variables of the parameters and return values of a device function. */
  readonly formals: readonly Variable[];
  readonly returns: readonly Variable[];
  readonly instructions: readonly Instruction[];
  /** Index of the instruction each label stands before. */
  readonly labels: ReadonlyMap<string, number>;
  readonly registers: readonly Register[];
  /** Local and shared variables declared in the body. */
  readonly variables: readonly Variable[];
  /** Threads per block the kernel was compiled for (`.maxntid`, `.reqntid`), x·y·z. */
  readonly maxThreads: number | undefined;
  /** Cluster shape fixed at compile time (`.reqnctapercluster`). */
  readonly cluster: readonly [number, number, number] | undefined;
}

export interface PtxModule {
  readonly version: string;
  readonly target: string;
  readonly variables: ReadonlyMap<string, Variable>;
  readonly functions: ReadonlyMap<string, PtxFunction>;
}

/** Bytes of a PTX fundamental type such as `.f32`, or undefined if it is not one. */
export function typeBytes(type: string): number | undefined {
  return TYPE_BYTES.get(type);
}

const TYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ["pred", 1],
  ...["b8", "u8", "s8"].map((t) => [t, 1] as const),
  ...["b16", "u16", "s16", "f16", "bf16"].map((t) => [t, 2] as const),
  ...["b32", "u32", "s32", "f32", "f16x2", "bf16x2", "tf32"].map((t) => [t, 4] as const),
  ...["b64", "u64", "s64", "f64"].map((t) => [t, 8] as const),
  ["b128", 16],
]);

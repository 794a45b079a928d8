import {
  atomic32,
  type Callable,
  callVoid,
  type Expr,
  f32,
  type FunctionBuilder,
  type GlobalVariable,
  i32,
  type Local,
  type ModuleBuilder,
} from "../../wasm/wasm.ts";
import { control, type kernelErrors } from "./control.ts";

/**
 * What a kernel parameter holds: an i32 (byte address, size, flag), an f32, or the start of the
 * thread's private scratch memory.
 */
export type ParamKind = "i32" | "f32" | "scratch";
export type Params = Readonly<Record<string, ParamKind>>;

type ArgumentLocals<P extends Params> = {
  readonly [K in keyof P]: Local<P[K] extends "f32" ? "f32" : "i32">;
};

/**
 * A WebAssembly function over shared memory. It computes the part [begin, end) of its parallel axis;
 * the bits of a result never depend on how the axis is split.
 */
export interface Kernel<P extends Params = Params> {
  /** In argument order; `begin` and `end` follow. */
  readonly params: P;
  /** What the parallel axis counts, for people: `output columns`, `rows`. */
  readonly axis: string;
  /** Writes the function. A method, so that kernels of different parameters fit one list. */
  body(
    f: FunctionBuilder,
    args: ArgumentLocals<P>,
    range: { readonly begin: Local<"i32">; readonly end: Local<"i32"> },
    context: KernelContext,
  ): void;
}

export interface KernelContext {
  /** Address of the record of the call being executed, for error reports. */
  readonly currentRecord: GlobalVariable<"i32">;
}

/** Infers the parameter names, so bodies and callers are checked against them. */
export function kernel<const P extends Params>(definition: Kernel<P>): Kernel<P> {
  return definition;
}

/** Numbers to call a kernel with; scratch comes from the runner. */
export type KernelArguments<P extends Params> = {
  readonly [K in keyof P as P[K] extends "scratch" ? never : K]: number;
};

/**
 * A call in memory, as 32-bit words: table slot, record size in bytes, extent of the parallel axis,
 * granule (ranges begin at multiples of it), then the parameters in order, scratch left out.
 */
export const recordHeader = { slot: 0, size: 4, extent: 8, granule: 12, params: 16 } as const;

/** Adds the kernel to a module, exported under its name for direct calls (params, begin, end). */
export function addKernel(
  m: ModuleBuilder,
  name: string,
  definition: Kernel,
  context: KernelContext,
): Callable {
  const kinds = Object.entries(definition.params);
  const f = m.func(name, [
    ...kinds.map(([, kind]) => (kind === "f32" ? ("f32" as const) : ("i32" as const))),
    "i32",
    "i32",
  ]);
  const args = Object.fromEntries(
    kinds.map(([param, kind], at) => [param, f.param(kind === "f32" ? "f32" : "i32", at)]),
  );
  const begin = f.param("i32", kinds.length);
  const end = f.param("i32", kinds.length + 1);
  definition.body(f, args as ArgumentLocals<Params>, { begin, end }, context);
  return f;
}

/**
 * The function that executes a record of the kernel: unpacks the parameters and computes the
 * thread's part of the parallel axis. Signature (record, thread, threads, scratch).
 */
export function addTrampoline(
  m: ModuleBuilder,
  name: string,
  definition: Kernel,
  target: Callable,
): Callable {
  const f = m.func(`${name}.record`, ["i32", "i32", "i32", "i32"], [], { export: false });
  const [record, thread, threads, scratch] = [0, 1, 2, 3].map((at) => f.param("i32", at)) as [
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
  ];
  const extent = f.let(i32.load(record, recordHeader.extent));
  const granule = f.let(i32.load(record, recordHeader.granule));
  const pieces = f.let(i32.divU(i32.sub(i32.add(extent, granule), 1), granule));
  const border = (part: Expr<"i32">) => i32.mul(i32.divU(i32.mul(part, pieces), threads), granule);
  const begin = f.let(border(thread));
  const end = f.let(border(i32.add(thread, 1)));
  // The last piece may be a partial granule.
  f.if(i32.gtU(end, extent), () => f.set(end, extent));
  f.if(i32.ltU(begin, end), () => {
    let offset: number = recordHeader.params;
    const args = Object.values(definition.params).map((kind) => {
      if (kind === "scratch") return scratch;
      const value = kind === "f32" ? f32.load(record, offset) : i32.load(record, offset);
      offset += 4;
      return value;
    });
    f.do(callVoid(target, ...args, begin, end));
  });
  return f;
}

/** Records the first error of a program and where it happened; execution goes on with safe values. */
export function reportError(
  f: FunctionBuilder,
  context: KernelContext,
  code: (typeof kernelErrors)[keyof typeof kernelErrors],
  culprit: Local<"i32">,
): void {
  f.if(i32.eqz(atomic32.compareExchange(control.error, 0, code)), () => {
    f.do(i32.store(control.errorRecord, context.currentRecord));
    f.do(i32.store(control.errorValue, culprit));
  });
}

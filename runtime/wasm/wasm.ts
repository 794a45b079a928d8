/** The WebAssembly encoder's public face: modules, functions, and instructions by operand type. */
export { atomic32, atomic64, atomicFence, atomicNotify } from "./atomics.ts";
export type { Arg, Expr, Stmt, ValueType } from "./expression.ts";
export type { AnyArg, Callable, FunctionBuilder, Label, Signature } from "./function-builder.ts";
export { call, callVoid, GlobalVariable, Local } from "./function-builder.ts";
export { type MemoryLimits, ModuleBuilder } from "./module-builder.ts";
export { f32, f64, i32, i64, memory, select } from "./numeric.ts";
export { f32x4, f64x2, i8x16, i16x8, i32x4, i64x2, v128 } from "./simd.ts";

/** What translation knows about a kernel as a whole: register rows, variables, callable functions. */
import { HydrantError } from "../../../src/util/errors.ts";
import type { Callable } from "../../wasm/wasm.ts";
import { ROWS_BASE, SHARED_TAG } from "../layout.ts";
import { unsupported } from "../ptx/operands.ts";
import type { Instruction, Operand, Param, PtxFunction, Register, Variable } from "../ptx/ptx.ts";

export interface KernelContext {
  readonly fn: PtxFunction;
  /** Byte offset of a register's row in the warp's state. */
  row(register: Register): number;
  /** Bytes of the warp's state, header included. */
  readonly warpBytes: number;
  /** Bytes of `.shared` variables; dynamic shared memory begins at this offset. */
  readonly staticShared: number;
  /** Bytes of local memory per thread. */
  readonly localBytes: number;
  param(name: string): Param | undefined;
  /** Offset of a shared or local variable in its window, linear address of a const or global one. */
  offsetOf(variable: Variable, user: Instruction): number;
  /** The value a register gets when a symbol is moved into it. */
  addressOf(operand: Extract<Operand, { kind: "symbol" }>, user: Instruction): bigint;
  callee(name: string): Callable;
  /** True when relaxed_madd rounds once on this machine. */
  readonly fused: boolean;
}

/** Linear addresses of a loaded module's const and global variables, by name. */
export type ModuleAddresses = ReadonlyMap<string, number>;

export function kernelContext(
  fn: PtxFunction,
  moduleShared: readonly Variable[],
  addresses: ModuleAddresses,
  tag: (linear: number) => number,
  callees: ReadonlyMap<string, Callable>,
  fused: boolean,
): KernelContext {
  const rows = new Map<Register, number>();
  let end = ROWS_BASE;
  for (const register of fn.registers) {
    if (register.bits === 128) {
      throw new HydrantError("emulator/unsupported", `${fn.name} uses a 128-bit register.`);
    }
    rows.set(register, end);
    end += register.bits === 64 ? 256 : 128;
  }

  const offsets = new Map<Variable, number>();
  const place = (variables: readonly Variable[]): number => {
    let size = 0;
    for (const variable of variables) {
      size = Math.ceil(size / variable.align) * variable.align;
      offsets.set(variable, size);
      size += variable.size;
    }
    return size;
  };
  const shared = [...moduleShared, ...fn.variables.filter((v) => v.space === "shared")];
  const used = usedVariables(fn);
  const isStatic = (v: Variable): boolean => !v.extern && v.size > 0;
  const staticShared = place(shared.filter((v) => isStatic(v) && used.has(v)));
  // The driver aligns dynamic shared memory as its strictest declaration asks; 16 is the floor.
  const dynamic = shared.filter((v) => !isStatic(v));
  const align = Math.max(16, ...dynamic.map((v) => v.align));
  const dynamicBase = Math.ceil(staticShared / align) * align;
  for (const variable of dynamic) offsets.set(variable, dynamicBase);
  const localBytes = Math.ceil(place(fn.variables.filter((v) => v.space === "local")) / 16) * 16;

  const context: KernelContext = {
    fn,
    fused,
    row: (register) => {
      const row = rows.get(register);
      if (row === undefined) throw new Error(`register ${register.name} has no row`);
      return row;
    },
    warpBytes: Math.ceil(end / 256) * 256,
    staticShared: dynamic.length > 0 ? dynamicBase : staticShared,
    localBytes,
    param: (name) => fn.params.find((param) => param.name === name),
    offsetOf: (variable, user) => {
      const offset = offsets.get(variable) ?? addresses.get(variable.name);
      if (offset !== undefined) return offset;
      const param = fn.params.find((p) => p.name === variable.name);
      if (param !== undefined) return param.offset;
      throw unsupported(user, `${variable.name} has no address`);
    },
    addressOf: (operand, user) => {
      const at = context.offsetOf(operand.variable, user) + operand.offset;
      return BigInt(operand.variable.space === "global" ? tag(at) : at);
    },
    callee: (name) => {
      const callee = callees.get(name);
      if (callee === undefined) throw new Error(`no function ${name} to call`);
      return callee;
    },
  };
  return context;
}

function usedVariables(fn: PtxFunction): ReadonlySet<Variable> {
  const used = new Set<Variable>();
  const visit = (operand: Operand): void => {
    if (operand.kind === "symbol") used.add(operand.variable);
    else if (operand.kind === "address" && operand.base !== undefined && "space" in operand.base) {
      used.add(operand.base);
    } else if (operand.kind === "vector" || operand.kind === "list") operand.items.forEach(visit);
  };
  for (const instruction of fn.instructions) instruction.operands.forEach(visit);
  return used;
}

/** Generic address of a shared-window offset. */
export function sharedGeneric(offset: number): number {
  return SHARED_TAG * 2 ** 32 + offset;
}

/** mma.sync and ldmatrix as calls of the core's matrix functions. */
import { callVoid, type Expr, i32, type Local, type Stmt } from "../../wasm/wasm.ts";
import { MATRIX_TYPES } from "../core/matrix.ts";
import { HEADER, MMA_B } from "../layout.ts";
import { unsupported } from "../ptx/operands.ts";
import type { Instruction, Operand } from "../ptx/ptx.ts";
import type { KernelContext } from "./kernel-context.ts";

/** Rows of accumulators kept as f16, widened: after the scratch of B. */
const WIDE_ACCUMULATORS = MMA_B + 0x1000;

/** Statements that execute a matrix instruction, given the warp; undefined if the host must do it. */
export function matrixMultiply(
  instruction: Instruction,
  context: KernelContext,
): ((warp: Local<"i32">) => readonly Stmt[]) | undefined {
  const { parts, operands, guard } = instruction;
  if (parts[0] === "ldmatrix") return loadMatrices(instruction, context);
  if (parts[0] !== "mma") return undefined;
  if (guard !== undefined) throw unsupported(instruction, "under a guard");
  const shape = /^m16n8k(\d+)$/.exec(parts.find((part) => /^m\d+n\d+k\d+$/.test(part)) ?? "");
  const types = parts.slice(parts.indexOf("row") + 2).filter((part) => /^[a-z]+\d/.test(part));
  const [d, a, b, c] = operands;
  const [typeD, typeA, typeB, typeC] = types;
  const isFormKnown =
    shape !== null &&
    parts.includes("row") &&
    parts.includes("col") &&
    types.length === 4 &&
    typeA !== undefined &&
    typeB !== undefined &&
    typeA in MATRIX_TYPES &&
    typeB in MATRIX_TYPES &&
    MATRIX_TYPES[typeA] === MATRIX_TYPES[typeB];
  if (
    !isFormKnown ||
    shape === null ||
    parts.some((part) => part === "sp" || part === "satfinite")
  ) {
    throw unsupported(instruction);
  }
  const depth = Number(shape[1]);
  const perWord = MATRIX_TYPES[typeA ?? ""] ?? 1;
  const isInteger = typeD === "s32";
  if (!isInteger && typeD !== "f32" && typeD !== "f16") throw unsupported(instruction);
  if (typeC !== typeD) throw unsupported(instruction, "accumulators of two types");

  const rows = (operand: Operand | undefined): number[] =>
    (operand?.kind === "vector" ? operand.items : operand === undefined ? [] : [operand]).map(
      (item) => {
        if (item.kind !== "reg") throw unsupported(instruction, "a literal as a fragment");
        return context.row(item.reg);
      },
    );
  const [rowsD, rowsA, rowsB, rowsC] = [rows(d), rows(a), rows(b), rows(c)];
  const chunks = depth / (4 * perWord);
  const accumulators = typeD === "f16" ? 2 : 4;
  if (
    rowsA.length !== 2 * chunks ||
    rowsB.length !== chunks ||
    rowsC.length !== accumulators ||
    rowsD.length !== accumulators
  ) {
    throw unsupported(instruction, "fragments of this size");
  }

  return (warp) => {
    const at = (row: number | undefined): Expr<"i32"> => i32.add(warp, row ?? 0);
    const statements: Stmt[] = [];
    const run = (name: string, ...args: (Expr<"i32"> | number)[]): void => {
      statements.push(callVoid(context.callee(name), ...args));
    };
    for (const [index, row] of rowsA.entries()) {
      const offset = (index & 1) * 8 * depth * 4 + (index >> 1) * 16 * perWord;
      run(`stageA_${typeA}`, at(row), offset, depth * 4);
    }
    for (const [index, row] of rowsB.entries()) {
      run(`stageB_${typeB}`, at(row), index * 4 * perWord * 32);
    }
    for (const half of [0, 1]) {
      if (typeD === "f16") {
        const [even, odd] = [WIDE_ACCUMULATORS, WIDE_ACCUMULATORS + 128];
        run("unpackHalves", at(rowsC[half]), even, odd);
        run(
          "mmaF32",
          i32.const(even),
          i32.const(odd),
          i32.const(even),
          i32.const(odd),
          8 * half,
          depth,
        );
        run("packHalves", i32.const(even), i32.const(odd), at(rowsD[half]));
        continue;
      }
      run(
        isInteger ? "mmaI32" : "mmaF32",
        at(rowsC[2 * half]),
        at(rowsC[2 * half + 1]),
        at(rowsD[2 * half]),
        at(rowsD[2 * half + 1]),
        8 * half,
        depth,
      );
    }
    return statements;
  };
}

/** ldmatrix from the block's own shared memory through a 32-bit register. */
function loadMatrices(
  { parts, operands, guard }: Instruction,
  context: KernelContext,
): ((warp: Local<"i32">) => readonly Stmt[]) | undefined {
  const [to, from] = operands;
  const items = to?.kind === "vector" ? to.items : to === undefined ? [] : [to];
  const base = from?.kind === "address" ? from.base : undefined;
  const isPlain =
    guard === undefined &&
    parts.includes("m8n8") &&
    parts.includes("b16") &&
    !parts.includes("shared::cluster") &&
    base !== undefined &&
    "bits" in base &&
    base.bits === 32 &&
    // Addresses that a destination overwrites have to be read before.
    items.every((item) => item.kind === "reg" && item.reg !== base);
  if (!isPlain || from?.kind !== "address" || base === undefined || !("bits" in base)) {
    return undefined;
  }
  const callee = context.callee(parts.includes("trans") ? "ldmatrixTrans" : "ldmatrix");
  const addresses = context.row(base);
  const { offset } = from;
  return (warp) =>
    items.flatMap((item, matrix) => {
      if (item.kind !== "reg") return [];
      const window = i32.add(i32.load(warp, HEADER.sharedBase), offset);
      const row = i32.add(warp, addresses + 32 * matrix);
      return [callVoid(callee, i32.add(warp, context.row(item.reg)), row, window)];
    });
}

/** Which registers an instruction reads and writes, and how the emulator names it in errors. */
import { HydrantError } from "../../../src/util/errors.ts";
import type { Instruction, Operand, Register } from "./ptx.ts";

// First operands of these are read, although they look like destinations.
const READS_FIRST = new Set([
  "bar",
  "barrier",
  "nanosleep",
  "setmaxnreg",
  "bra",
  "call",
  "trap",
  "griddepcontrol",
]);

/** True when the first operand is a destination. */
export function hasDestination(instruction: Instruction): boolean {
  const [first] = instruction.operands;
  const family = instruction.parts[0] ?? "";
  if (first === undefined) return false;
  if (family === "bar" || family === "barrier") return instruction.parts.includes("red");
  if (READS_FIRST.has(family)) return false;
  return ["reg", "vector", "pair", "sink"].includes(first.kind);
}

export function registersOf(operand: Operand): readonly Register[] {
  switch (operand.kind) {
    case "reg":
    case "not":
      return [operand.reg];
    case "address":
      return [
        ...(operand.base !== undefined && "bits" in operand.base ? [operand.base] : []),
        ...(operand.coordinates ?? []).flatMap(registersOf),
      ];
    case "vector":
    case "list":
      return operand.items.flatMap(registersOf);
    case "pair":
      return [...registersOf(operand.first), ...registersOf(operand.second)];
    case "int":
    case "float":
    case "special":
    case "symbol":
    case "function":
    case "label":
    case "sink":
      return [];
    default:
      return operand satisfies never;
  }
}

export interface DefUse {
  readonly defs: readonly Register[];
  readonly uses: readonly Register[];
}

/**
 * Registers an instruction writes and reads. A guarded instruction keeps the old value in the
 * lanes its guard excludes, so its destinations count as read too.
 */
export function defUse(instruction: Instruction): DefUse {
  let known = defUses.get(instruction);
  if (known === undefined) {
    known = findDefUse(instruction);
    defUses.set(instruction, known);
  }
  return known;
}

/** Every stage of the translation asks, most of them several times. */
const defUses = new WeakMap<Instruction, DefUse>();

function findDefUse(instruction: Instruction): DefUse {
  const { operands, guard, parts } = instruction;
  const first = operands[0];
  const defs =
    first !== undefined && hasDestination(instruction) ? registersOf(first) : ([] as Register[]);
  const uses = (defs.length > 0 || first?.kind === "sink" ? operands.slice(1) : operands).flatMap(
    registersOf,
  );
  if (guard !== undefined) uses.push(guard.reg, ...defs);
  else if (parts[0] === "wgmma") uses.push(...defs);
  return { defs, uses };
}

/** `line 12 (kernel.cu:34)`: where an instruction stands, for messages. */
export function whereIs(instruction: Instruction): string {
  const { source, ptxLine } = instruction;
  return source === undefined
    ? `PTX line ${ptxLine}`
    : `PTX line ${ptxLine} (${source.file}:${source.line})`;
}

/** The error for what the emulator cannot execute: it never skips. */
export function unsupported(instruction: Instruction, why?: string): HydrantError {
  return new HydrantError(
    "emulator/unsupported",
    `The emulator does not execute \`${instruction.opcode}\`${why === undefined ? "" : ` (${why})`}, at ${whereIs(instruction)}.`,
    {
      ...(instruction.source === undefined
        ? {}
        : { path: `${instruction.source.file}:${instruction.source.line}` }),
      hint: "Write the kernel without it, or run it on a GPU.",
    },
  );
}

/** The parts a block falls into, and what may stand together in one. */
import { defUse } from "../ptx/operands.ts";
import type { Instruction, Register } from "../ptx/ptx.ts";
import { spaceOf } from "./addresses.ts";
import type { WarpOp } from "./warp-ops.ts";

/** Part of a block: host calls, then lane-wise instructions, then one warp-wide operation. */
export interface Piece {
  /** Accesses to be checked, and where the warp synchronises between them. */
  readonly checks: readonly (Instruction | "sync")[];
  readonly lanes: readonly Instruction[];
  readonly operation: Instruction | undefined;
}

export class PieceBuilder implements Piece {
  readonly checks: (Instruction | "sync")[] = [];
  readonly lanes: Instruction[] = [];
  operation: Instruction | undefined;
  readonly #defined = new Set<Register>();
  /** Rows that lanes of other quads read. */
  readonly #shared = new Set<Register>();
  #reads = false;
  #writes = false;
  /** The same before the last point at which the warp synchronises. */
  #readsBefore = false;
  #writesBefore = false;

  /** May an instruction be part of it, that needs some rows as they are before the piece? */
  takes(instruction: Instruction, rows: readonly Register[]): boolean {
    if (rows.some((register) => this.#defined.has(register))) return false;
    if (defUse(instruction).defs.some((register) => this.#shared.has(register))) return false;
    // Quads run one after another, but what one lane writes may be for another lane to read.
    const { reads, writes } = accessOf(instruction);
    return !((reads || writes) && this.#writesBefore) && !(writes && this.#readsBefore);
  }

  add(instruction: Instruction, warpOp: WarpOp | undefined): void {
    this.lanes.push(instruction);
    for (const register of defUse(instruction).defs) this.#defined.add(register);
    const { reads, writes } = accessOf(instruction);
    this.#reads ||= reads;
    this.#writes ||= writes;
    if (warpOp === undefined) return;
    for (const register of warpOp.rows) this.#shared.add(register);
    this.#readsBefore = this.#reads;
    this.#writesBefore = this.#writes;
  }
}

/** What an instruction does to memory that other lanes see. */
function accessOf(instruction: Instruction): { readonly reads: boolean; readonly writes: boolean } {
  switch (instruction.parts[0]) {
    case "ld":
    case "ldu":
      return { reads: spaceOf(instruction) !== "param", writes: false };
    case "st":
      return { reads: false, writes: true };
    case "atom":
    case "red":
      return { reads: true, writes: true };
    default:
      return { reads: false, writes: false };
  }
}

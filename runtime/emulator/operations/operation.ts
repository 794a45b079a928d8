/** What handlers of warp-wide operations are made of. */
import type { Machine } from "../execute/machine.ts";
import type { BlockState } from "../execute/state.ts";
import { GLOBAL_TAG, HEADER, tagged, WARP } from "../layout.ts";
import { unsupported } from "../ptx/operands.ts";
import type { Instruction, Operand } from "../ptx/ptx.ts";
import type { KernelContext } from "../translate/kernel-context.ts";

/** Runs an operation for the lanes of `mask`; `warp` is the linear address of the warp's state. */
export type Handler = (warp: number, mask: number) => void;

/** An operation at one place of one kernel, with access to its operands' rows. */
export class Operation {
  readonly instruction: Instruction;
  readonly context: KernelContext;
  readonly machine: Machine;

  constructor(instruction: Instruction, context: KernelContext, machine: Machine) {
    this.instruction = instruction;
    this.context = context;
    this.machine = machine;
  }

  fail(why?: string): never {
    throw unsupported(this.instruction, why);
  }

  has(part: string): boolean {
    return this.instruction.parts.includes(part);
  }

  operand(index: number): Operand {
    return this.instruction.operands[index] ?? this.fail(`operand ${index + 1} is missing`);
  }

  /** Byte offset of a register operand's row. */
  row(operand: Operand): number {
    if (operand.kind !== "reg") return this.fail("an operand that must be a register");
    return this.context.row(operand.reg);
  }

  /** Reads a 32-bit operand of a lane, signed. */
  reader(operand: Operand): (warp: number, lane: number) => number {
    const { i32 } = this.machine;
    if (operand.kind === "int") {
      const value = Number(BigInt.asIntN(32, operand.value));
      return () => value;
    }
    if (operand.kind === "symbol") {
      const value = Number(BigInt.asIntN(32, this.context.addressOf(operand, this.instruction)));
      return () => value;
    }
    if (operand.kind === "not") {
      const row = this.context.row(operand.reg) >> 2;
      return (warp, lane) => ~(i32[(warp >> 2) + row + lane] ?? 0);
    }
    if (operand.kind === "reg" && operand.reg.bits === 64) {
      const row = this.context.row(operand.reg) >> 2;
      return (warp, lane) => i32[(warp >> 2) + row + 2 * lane] ?? 0;
    }
    const row = this.row(operand) >> 2;
    return (warp, lane) => i32[(warp >> 2) + row + lane] ?? 0;
  }

  /** Writes a 32-bit destination of a lane; sinks swallow it. */
  writer(operand: Operand): (warp: number, lane: number, value: number) => void {
    if (operand.kind === "sink") return () => {};
    const { i32 } = this.machine;
    if (operand.kind === "reg" && operand.reg.bits === 64) {
      const row = this.context.row(operand.reg) >> 2;
      return (warp, lane, value) => {
        i32[(warp >> 2) + row + 2 * lane] = value;
        i32[(warp >> 2) + row + 2 * lane + 1] = 0;
      };
    }
    const row = this.row(operand) >> 2;
    return (warp, lane, value) => {
      i32[(warp >> 2) + row + lane] = value;
    };
  }

  /** Lanes whose predicate holds. */
  predicate(operand: Operand): (warp: number) => number {
    const read = this.reader(operand);
    return (warp) => {
      let bits = 0;
      for (let lane = 0; lane < WARP; lane++) if (read(warp, lane) !== 0) bits |= 1 << lane;
      return bits;
    };
  }

  /** The handler restricted to the lanes the guard selects; not called for none. */
  guarded(handler: Handler): Handler {
    const { guard } = this.instruction;
    if (guard === undefined) return handler;
    const bits = this.predicate({ kind: guard.negated ? "not" : "reg", reg: guard.reg });
    return (warp, mask) => {
      const lanes = mask & bits(warp);
      if (lanes !== 0) handler(warp, lanes);
    };
  }

  /** Reads an operand that must be the same in all active lanes: the first one's value. */
  uniform(operand: Operand): (warp: number, mask: number) => number {
    const read = this.reader(operand);
    return (warp, mask) => read(warp, firstLane(mask));
  }

  /**
   * Reads an address operand of a lane: the shared-window address for shared memory (also of
   * 64-bit and generic pointers), the linear address for global memory.
   */
  address(operand: Operand, space: "global" | "shared"): (warp: number, lane: number) => number {
    if (operand.kind !== "address") return this.fail("an operand that must be an address");
    const { base, offset } = operand;
    if (base === undefined) return this.fail("an absolute address");
    if ("space" in base) {
      const at = this.context.offsetOf(base, this.instruction) + offset;
      return () => at;
    }
    const { u32 } = this.machine;
    const row = this.context.row(base) >> 2;
    if (base.bits !== 64)
      return (warp, lane) => ((u32[(warp >> 2) + row + lane] ?? 0) + offset) >>> 0;
    return (warp, lane) => {
      const at = (warp >> 2) + row + 2 * lane;
      if (space === "shared") return ((u32[at] ?? 0) + offset) >>> 0;
      return (u32[at + 1] ?? 0) * 2 ** 32 + (u32[at] ?? 0) + offset - tagged(0);
    };
  }

  /** As `address`, for all lanes of a mask at once: quicker, because no number is boxed. */
  addresses(
    operand: Operand,
    space: "global" | "shared",
  ): (warp: number, lanes: number, into: Float64Array) => void {
    const one = this.address(operand, space);
    const base = operand.kind === "address" ? operand.base : undefined;
    const offset = operand.kind === "address" ? operand.offset : 0;
    if (base === undefined || "space" in base) {
      return (warp, lanes, into) => {
        for (let rest = lanes; rest !== 0; rest &= rest - 1) {
          const lane = firstLane(rest);
          into[lane] = one(warp, lane);
        }
      };
    }
    const { u32 } = this.machine;
    const row = this.context.row(base) >> 2;
    const isGlobal = space === "global" && base.bits === 64;
    const shift = base.bits === 64 ? 1 : 0;
    return (warp, lanes, into) => {
      const first = (warp >> 2) + row;
      for (let rest = lanes; rest !== 0; rest &= rest - 1) {
        const lane = firstLane(rest);
        const at = first + (lane << shift);
        const low = (u32[at] ?? 0) + offset;
        into[lane] = isGlobal
          ? ((u32[at + 1] ?? 0) - GLOBAL_TAG) * 4294967296 + low
          : low < 0
            ? low + 4294967296
            : low;
      }
    };
  }

  /** The block a shared-window address of the running warp lies in, and the offset there. */
  sharedPlace(address: number): { readonly block: BlockState; readonly offset: number } {
    const { block } = this.machine.position;
    if (address < 2 ** 24) return { block, offset: address };
    const rank = Math.floor(address / 2 ** 24) - 1;
    const other = block.cluster.blocks[rank];
    if (other === undefined) {
      const message = `${this.instruction.opcode} means block ${rank} of a cluster of ${block.cluster.blocks.length}`;
      return this.machine.abort("out-of-bounds", message, this.instruction, -1);
    }
    return { block: other, offset: address % 2 ** 24 };
  }

  /** Linear address of a shared-window address. */
  sharedLinear(address: number): number {
    const { block, offset } = this.sharedPlace(address);
    return block.sharedBase + offset;
  }

  /** Lanes of the warp that have not ended. */
  alive(warp: number): number {
    const { i32 } = this.machine;
    const initial = i32[(warp + HEADER.initialMask) >> 2] ?? 0;
    const exited = i32[(warp + HEADER.exited) >> 2] ?? 0;
    return initial & ~exited;
  }

  /**
   * Reports lanes that a member mask calls for and that are not here: on a device they would be
   * waited for, possibly for ever.
   */
  checkMembers(warp: number, mask: number, members: number): void {
    this.machine.sanitizer?.warpSynchronized();
    const expected = members & this.alive(warp);
    if (expected === mask) return;
    const missing = expected & ~mask;
    const lane = firstLane(mask);
    const message =
      missing !== 0
        ? `${this.instruction.opcode} names lanes ${hex(members)}, but lanes ${hex(missing)} are not here`
        : `${this.instruction.opcode} names lanes ${hex(members)}, but lanes ${hex(mask & ~members)} execute it too`;
    this.machine.report("barrier-divergence", message, this.instruction, lane);
  }
}

export function firstLane(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}

export function hex(mask: number): string {
  return `0x${(mask >>> 0).toString(16)}`;
}

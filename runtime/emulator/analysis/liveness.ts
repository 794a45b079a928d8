import { defUse } from "../ptx/operands.ts";
import type { Instruction, Register } from "../ptx/ptx.ts";
import type { Block } from "./cfg.ts";

/** A set of register ids. */
export class RegisterSet {
  readonly #words: Uint32Array;

  constructor(registers: number) {
    this.#words = new Uint32Array((registers + 31) >> 5);
  }

  has(id: number): boolean {
    return (((this.#words[id >> 5] ?? 0) >>> (id & 31)) & 1) === 1;
  }

  add(id: number): void {
    this.#words[id >> 5] = (this.#words[id >> 5] ?? 0) | (1 << (id & 31));
  }

  delete(id: number): void {
    this.#words[id >> 5] = (this.#words[id >> 5] ?? 0) & ~(1 << (id & 31));
  }

  /** Adds all of another set; true when that changed anything. */
  union(other: RegisterSet): boolean {
    let changed = false;
    for (const [at, word] of other.#words.entries()) {
      const before = this.#words[at] ?? 0;
      const after = (before | word) >>> 0;
      if (after !== before) {
        this.#words[at] = after;
        changed = true;
      }
    }
    return changed;
  }

  clone(): RegisterSet {
    const copy = new RegisterSet(this.#words.length * 32);
    copy.#words.set(this.#words);
    return copy;
  }
}

/** Registers that live on at the end of each block, its terminator's reads included. */
export function liveAtEnd(blocks: readonly Block[], registers: number): readonly RegisterSet[] {
  const liveIn = blocks.map(() => new RegisterSet(registers));
  const liveOut = blocks.map(() => new RegisterSet(registers));
  for (let changed = true; changed; ) {
    changed = false;
    for (let index = blocks.length - 1; index >= 0; index--) {
      const block = blocks[index];
      const out = liveOut[index];
      const into = liveIn[index];
      if (block === undefined || out === undefined || into === undefined) continue;
      for (const to of block.successors) {
        const successor = liveIn[to];
        if (successor !== undefined) out.union(successor);
      }
      for (const register of terminatorUses(block)) out.add(register.id);
      const live = out.clone();
      for (const instruction of block.instructions.toReversed()) stepBack(live, instruction);
      if (into.union(live)) changed = true;
    }
  }
  return liveOut;
}

/** Turns the set live after an instruction into the set live before it. */
export function stepBack(live: RegisterSet, instruction: Instruction): void {
  const { defs, uses } = defUse(instruction);
  for (const register of defs) live.delete(register.id);
  for (const register of uses) live.add(register.id);
}

function terminatorUses({ terminator }: Block): readonly Register[] {
  switch (terminator.kind) {
    case "jump":
      return [];
    case "branch":
      return [terminator.predicate];
    case "exit":
      return terminator.guard === undefined ? [] : [terminator.guard.reg];
    case "barrier": {
      // A reduction writes its result after the barrier, into lanes that may keep the old value.
      const { defs, uses } = defUse(terminator.instruction);
      return [...defs, ...uses];
    }
    default:
      return terminator satisfies never;
  }
}

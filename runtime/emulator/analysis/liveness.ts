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
    for (let at = 0; at < this.#words.length; at++) {
      const before = this.#words[at] ?? 0;
      const after = (before | (other.#words[at] ?? 0)) >>> 0;
      if (after !== before) {
        this.#words[at] = after;
        changed = true;
      }
    }
    return changed;
  }

  /** Removes all of another set. */
  subtract(other: RegisterSet): void {
    for (let at = 0; at < this.#words.length; at++) {
      this.#words[at] = (this.#words[at] ?? 0) & ~(other.#words[at] ?? 0);
    }
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
  const effects = blocks.map((block, index) => {
    for (const register of terminatorUses(block)) liveOut[index]?.add(register.id);
    const read = new RegisterSet(registers);
    const written = new RegisterSet(registers);
    for (const instruction of block.instructions.toReversed()) {
      stepBack(read, instruction);
      for (const register of defUse(instruction).defs) written.add(register.id);
    }
    return { read, written };
  });
  for (let changed = true; changed; ) {
    changed = false;
    for (let index = blocks.length - 1; index >= 0; index--) {
      const out = liveOut[index];
      const into = liveIn[index];
      const effect = effects[index];
      if (out === undefined || into === undefined || effect === undefined) continue;
      for (const to of blocks[index]?.successors ?? []) {
        const successor = liveIn[to];
        if (successor !== undefined) out.union(successor);
      }
      const live = out.clone();
      live.subtract(effect.written);
      live.union(effect.read);
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

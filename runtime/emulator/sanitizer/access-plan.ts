import type { Instruction } from "../ptx/ptx.ts";

/** What an access is, worked out once per instruction. */
export interface AccessPlan {
  readonly instruction: Instruction;
  readonly kind: "read" | "write" | "atomic";
  readonly bytes: number;
  readonly grain: number;
  /** Atomic, volatile or ordered: it cannot race with its like. */
  readonly strong: boolean;
  readonly acquires: boolean;
  readonly releases: "always" | "fenced" | "never";
  /** Loads through the read-only path leave no trace: nothing may write there anyway. */
  readonly traced: boolean;
  /** Alignment asked for. */
  readonly align: number;
  /** Number the sanitiser knows the instruction by. */
  readonly site: number;
}

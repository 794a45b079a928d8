/** Figures that depend on the program alone: instructions by class, bytes, sectors, conflicts. */
import type { KernelCounters } from "../../driver/instrumented-driver.ts";
import type { Block } from "../analysis/cfg.ts";
import type { Instruction } from "../ptx/ptx.ts";
import type { Kernel } from "./kernel.ts";
import type { Machine } from "./machine.ts";

export type InstructionClass =
  | "integer"
  | "float32"
  | "float16"
  | "float64"
  | "special"
  | "conversion"
  | "memory"
  | "matrix"
  | "synchronization"
  | "control"
  | "move";

const BY_FAMILY: Readonly<Record<string, InstructionClass>> = {
  ld: "memory",
  ldu: "memory",
  st: "memory",
  atom: "memory",
  red: "memory",
  cp: "memory",
  ldmatrix: "memory",
  stmatrix: "memory",
  prefetch: "memory",
  mma: "matrix",
  wgmma: "matrix",
  bar: "synchronization",
  barrier: "synchronization",
  mbarrier: "synchronization",
  membar: "synchronization",
  fence: "synchronization",
  shfl: "synchronization",
  vote: "synchronization",
  match: "synchronization",
  redux: "synchronization",
  activemask: "synchronization",
  elect: "synchronization",
  bra: "control",
  ret: "control",
  exit: "control",
  cvt: "conversion",
  mov: "move",
  selp: "move",
  cvta: "move",
  sqrt: "special",
  rsqrt: "special",
  rcp: "special",
  ex2: "special",
  lg2: "special",
  sin: "special",
  cos: "special",
  tanh: "special",
};

export function classOf({ parts }: Instruction): InstructionClass {
  const known = BY_FAMILY[parts[0] ?? ""];
  if (known !== undefined) return known;
  const type = parts.at(-1) ?? "";
  if (type === "f32") return "float32";
  if (type === "f64") return "float64";
  if (type.startsWith("f16") || type.startsWith("bf16")) return "float16";
  return "integer";
}

const classes = new WeakMap<Block, ReadonlyMap<InstructionClass, number>>();

/** How many instructions of each class a block has, its terminator included. */
function classesOf(block: Block): ReadonlyMap<InstructionClass, number> {
  const known = classes.get(block);
  if (known !== undefined) return known;
  const counts = new Map<InstructionClass, number>();
  const count = (name: InstructionClass): void => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  for (const instruction of block.instructions) count(classOf(instruction));
  if (block.terminator.kind === "barrier") count("synchronization");
  else if (block.terminator.kind !== "jump" || block.terminator.target !== block.index + 1) {
    count("control");
  }
  classes.set(block, counts);
  return counts;
}

function word64(u32: Uint32Array, at: number): number {
  return (u32[at + 1] ?? 0) * 2 ** 32 + (u32[at] ?? 0);
}

/** What accesses add up; the sanitiser counts, because it sees every address. */
export interface MemoryCounts {
  globalBytesRead: number;
  globalBytesWritten: number;
  globalRequests: number;
  globalSectors: number;
  sharedBytesRead: number;
  sharedBytesWritten: number;
  sharedRequests: number;
  sharedBankConflicts: number;
  localBytesRead: number;
  localBytesWritten: number;
  atomics: number;
}

export class Counters {
  readonly memory: MemoryCounts = {
    globalBytesRead: 0,
    globalBytesWritten: 0,
    globalRequests: 0,
    globalSectors: 0,
    sharedBytesRead: 0,
    sharedBytesWritten: 0,
    sharedRequests: 0,
    sharedBankConflicts: 0,
    localBytesRead: 0,
    localBytesWritten: 0,
    atomics: 0,
  };
  readonly #classes: Partial<Record<InstructionClass, number>> = {};
  #laneInstructions = 0;
  #warpInstructions = 0;
  #launches = 0;

  /** Adds what the block counters of a finished launch say. */
  addLaunch(machine: Machine, kernel: Kernel): void {
    this.#launches++;
    for (const block of kernel.blocks) {
      const at = (kernel.counters >> 2) + 4 * block.index;
      const warps = word64(machine.u32, at);
      if (warps === 0) continue;
      const lanes = word64(machine.u32, at + 2);
      for (const [name, count] of classesOf(block)) {
        this.#classes[name] = (this.#classes[name] ?? 0) + count * lanes;
        this.#laneInstructions += count * lanes;
        this.#warpInstructions += count * warps;
      }
    }
  }

  totals(): KernelCounters {
    const { globalRequests, globalSectors } = this.memory;
    return {
      ...this.memory,
      launches: this.#launches,
      laneInstructions: this.#laneInstructions,
      warpInstructions: this.#warpInstructions,
      /** Average share of a warp's lanes that are active. */
      laneUtilization:
        this.#warpInstructions === 0 ? 1 : this.#laneInstructions / (32 * this.#warpInstructions),
      sectorsPerRequest: globalRequests === 0 ? 0 : globalSectors / globalRequests,
      instructions: { ...this.#classes } as Readonly<Record<string, number>>,
    };
  }
}

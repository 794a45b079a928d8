import { byteSize, type DType } from "../../src/ir/dtype.ts";
import { type BufferId, ringSlots } from "../../src/ir/program.ts";
import {
  type Allocator,
  cudaTypes,
  type Elements,
  type KernelCall,
  KernelEntry,
} from "../entry.ts";

export interface FinishOp {
  /** States and their new values; values have the C++ type of `dtype`. */
  readonly updates: readonly {
    readonly value: Elements;
    readonly state: BufferId;
    readonly dtype: DType;
    readonly elements: number;
  }[];
  /** Values for the host, at `offset` bytes from the start of a ring slot. */
  readonly outputs: readonly {
    readonly value: Elements;
    readonly dtype: DType;
    readonly elements: number;
    readonly offset: number;
  }[];
  readonly slotBytes: number;
  /** The state `ring.number`, i32[1]. */
  readonly number: BufferId;
  readonly label: string;
}

/** What is staged in shared memory; more goes through the arena. */
const maxSharedBytes = 32 * 1024;

/**
 * The last launch of a program: one block computes all values, and only then changes states; the
 * outputs' slot is published last (`Program.ring`). Values may read any state.
 */
export function finish(op: FinishOp, memory: Allocator): KernelCall {
  const { updates, outputs } = op;
  const threads = updates.some(({ elements }) => elements > 1024) ? 1024 : 256;
  const entry = new KernelEntry("finish");
  entry.reserve("i", "slot", "filled", "staged");
  const members = updates.map(
    ({ dtype, elements }, i) => `  ${cudaTypes[dtype]} update_${i}[${elements}];`,
  );
  const updateBytes = sizeOf(updates);
  // Members of the structure are aligned to at most 8 bytes.
  const stagedBytes = updateBytes + 8 * updates.length;

  const evaluated = updates.map(({ value, elements }, i) => {
    const element = value(entry)("i");
    return `evaluate<${threads}, ${i}>(staged.update_${i}, ${elements}, [&](int i) { return ${element}; });`;
  });
  const number = entry.buffer("number", op.number, "int", "update");
  const ring = entry.ring();
  const slotBytes = entry.i32("slot_bytes", op.slotBytes);
  const slots = entry.i32("slots", ringSlots(op.slotBytes));
  const published = outputs.map(({ value, dtype, elements, offset }, i) => {
    const element = value(entry)("i");
    const count = entry.i32("elements", elements);
    const field = `reinterpret_cast<${cudaTypes[dtype]}*>(slot + ${entry.i32("offset", offset)})`;
    return `evaluate<${threads}, ${updates.length + i}>(${field}, ${count}, [&](int i) { return ${element}; });`;
  });
  const changed = updates.map(({ state, dtype }, i) => {
    const destination = entry.buffer("state", state, cudaTypes[dtype], "write");
    return `update_state<${threads}>(${destination}, staged.update_${i});`;
  });
  const body = [
    `const int filled = ${number}[0];`,
    `unsigned char* slot = ${ring} + static_cast<size_t>(filled % ${slots}) * ${slotBytes};`,
  ];
  if (updates.length > 0) {
    if (stagedBytes <= maxSharedBytes) {
      body.push("__shared__ Staged staged;");
    } else {
      const scratch = memory.scratch(stagedBytes, `${op.label}.staged`);
      const pointer = entry.buffer("scratch", scratch, "Staged", "write");
      body.push(`Staged& staged = *${pointer};`);
    }
  }
  body.push(...evaluated, ...published);
  if (updates.length > 0) body.push("__syncthreads();", ...changed);
  body.push(`publish(slot, ${number}, filled);`);

  const bytes = updateBytes + sizeOf(outputs);
  return entry.finish({
    name: `finish_${updates.length}_states_${outputs.length}_outputs`,
    comment: `States changed: ${updates.length}. Outputs published: ${outputs.length}.`,
    includes: ["kernels/finish/finish.cuh"],
    config:
      updates.length === 0
        ? ""
        : ["// New values, until all are known.", "struct Staged {", ...members, "};"].join("\n"),
    body: body.join("\n"),
    threads,
    grid: [1, 1, 1],
    label: op.label,
    traffic: { weightBytes: 0, readBytes: bytes, writtenBytes: bytes, flops: 0 },
  });
}

function sizeOf(values: readonly { readonly dtype: DType; readonly elements: number }[]): number {
  return values.reduce((sum, { dtype, elements }) => sum + elements * byteSize(dtype), 0);
}

import type { Lowered, Step, StorageId } from "./lower.ts";

/** Steps that may run side by side, and the walks over token trees that follow them on the host. */
export interface Phase {
  readonly steps: readonly Step[];
}

/**
 * Sorts steps into phases with a barrier between any two: each as early as what it reads is written
 * and what it overwrites is read. A step over the same columns as the step that makes its operand
 * stays in that one's phase: every thread goes on with the columns it has just written.
 */
export function schedule({ steps, storages }: Lowered): Phase[] {
  const phases: Step[][] = [];
  /** The last phase that wrote or read a storage, and the writers in it. */
  const written = new Map<StorageId, { phase: number; by: Step[] }>();
  const read = new Map<StorageId, number>();

  for (const step of steps) {
    let phase = 0;
    for (const storage of step.reads) {
      const last = written.get(storage);
      if (last === undefined) continue;
      phase = Math.max(
        phase,
        last.by.every((writer) => flows(writer, step)) ? last.phase : last.phase + 1,
      );
    }
    for (const storage of step.writes) {
      // Pieces of a fresh value may be written side by side; what changes in place, one by one.
      const fresh = storages[storage]?.kind === "temporary" && !step.reads.includes(storage);
      if (fresh) continue;
      phase = Math.max(
        phase,
        (written.get(storage)?.phase ?? -1) + 1,
        (read.get(storage) ?? -1) + 1,
      );
    }
    phases[phase] ??= [];
    phases[phase]?.push(step);
    for (const storage of step.reads) {
      read.set(storage, Math.max(read.get(storage) ?? 0, phase));
    }
    for (const storage of step.writes) {
      const last = written.get(storage);
      if (last?.phase === phase) last.by.push(step);
      else if (last === undefined || last.phase < phase)
        written.set(storage, { phase, by: [step] });
    }
  }
  return Array.from(phases, (list) => ({ steps: list ?? [] }));
}

/** Whether each thread's part of `reader` needs only its own part of `writer`. */
function flows(writer: Step, reader: Step): boolean {
  return (
    writer.kind === "kernel" &&
    reader.kind === "kernel" &&
    writer.columns !== undefined &&
    writer.columns === reader.columns &&
    // A linear reads all columns of its input.
    !reader.kernel.startsWith("linear")
  );
}

import type { KernelStep, Lowered, Step, StorageId } from "./lower/step.ts";

/** Steps with no barrier between them, in an order every thread keeps. */
export type Phase = readonly Step[];

/**
 * Sorts steps into phases with a barrier after each: every step as early as what it reads is written
 * and what it overwrites is read. A step stays in the phase of the one that makes its operand where
 * each thread goes on with nothing but what it has just written itself.
 */
export function schedule({ steps, storages }: Lowered, threads: number): Phase[] {
  const phases: Step[][] = [];
  /** The last phase that wrote a storage, with the writers in it, and the last that read it. */
  const written = new Map<StorageId, { phase: number; by: Step[] }>();
  const read = new Map<StorageId, number>();

  for (const step of steps) {
    let phase = 0;
    for (const storage of step.reads) {
      const last = written.get(storage);
      if (last === undefined) continue;
      const flows = last.by.every((writer) => flowsInto(writer, step, threads));
      phase = Math.max(phase, flows ? last.phase : last.phase + 1);
    }
    for (const storage of step.writes) {
      // Pieces of a fresh value may be written side by side; what changes in place, one by one.
      if (storages[storage]?.kind === "temporary" && !step.reads.includes(storage)) continue;
      const lastWrite = written.get(storage)?.phase ?? -1;
      phase = Math.max(phase, lastWrite + 1, (read.get(storage) ?? -1) + 1);
    }
    while (phases.length <= phase) phases.push([]);
    phases[phase]?.push(step);
    for (const storage of step.reads) read.set(storage, Math.max(read.get(storage) ?? 0, phase));
    for (const storage of step.writes) {
      const last = written.get(storage);
      if (last?.phase === phase) last.by.push(step);
      else if (last === undefined || last.phase < phase)
        written.set(storage, { phase, by: [step] });
    }
  }
  return phases;
}

/** Whether the axis is split between the groups of heads: when every thread gets as many. */
export function splitsByGroups(step: KernelStep, threads: number): boolean {
  return step.groups !== undefined && step.groups % threads === 0;
}

/** Whether each thread's part of `reader` needs only its own part of `writer`. */
function flowsInto(writer: Step, reader: Step, threads: number): boolean {
  if (writer.kind !== "kernel" || reader.kind !== "kernel") return false;
  // A linear needs all columns of its input.
  if (reader.kernel.startsWith("linear")) return false;
  const [byGroups, alsoByGroups] = [
    splitsByGroups(writer, threads),
    splitsByGroups(reader, threads),
  ];
  if (byGroups || alsoByGroups) {
    return byGroups && alsoByGroups && writer.groups === reader.groups;
  }
  return writer.columns !== undefined && writer.columns === reader.columns;
}

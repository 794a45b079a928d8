import { byteSize } from "../../src/ir/dtype.ts";
import type { Lowered, Size, StorageId } from "./lower/step.ts";
import type { Phase } from "./schedule.ts";

export interface Workspace {
  /** Byte offset of each input and temporary in the workspace. */
  readonly offsets: ReadonlyMap<StorageId, number>;
  readonly bytes: number;
}

/** A cache line, twice (as in the arena), and room to read a vector past the end. */
const alignment = 128;
const readAhead = 16;

/**
 * Places inputs and temporaries: bytes are used again once the phase of the last read is over. Outputs
 * stay until the end.
 */
export function planWorkspace(lowered: Lowered, phases: readonly Phase[], size: Size): Workspace {
  const first = new Map<StorageId, number>();
  const last = new Map<StorageId, number>();
  for (const [phase, steps] of phases.entries()) {
    for (const step of steps) {
      for (const storage of [...step.reads, ...step.writes]) {
        if (!first.has(storage)) first.set(storage, phase);
        last.set(storage, phase);
      }
    }
  }
  const needs: { storage: StorageId; bytes: number; from: number; to: number }[] = [];
  for (const [storage, info] of lowered.storages.entries()) {
    if (info.kind !== "input" && info.kind !== "temporary") continue;
    const isOutput = lowered.outputs.some((output) => output.storage === storage);
    const bytes = size(info.type.shape) * byteSize(info.type.dtype) + readAhead;
    needs.push({
      storage,
      bytes: Math.ceil(bytes / alignment) * alignment,
      // The host writes inputs before the first phase.
      from: info.kind === "input" ? -1 : (first.get(storage) ?? -1),
      to: isOutput ? phases.length : (last.get(storage) ?? -1),
    });
  }
  needs.sort((a, b) => a.from - b.from || b.bytes - a.bytes);

  const offsets = new Map<StorageId, number>();
  let active: { offset: number; end: number; to: number }[] = [];
  let bytes = 0;
  for (const need of needs) {
    active = active.filter((block) => block.to >= need.from);
    let offset = 0;
    for (const block of active) {
      if (offset + need.bytes <= block.offset) break;
      offset = Math.max(offset, block.end);
    }
    const end = offset + need.bytes;
    active.push({ offset, end, to: need.to });
    active.sort((a, b) => a.offset - b.offset);
    offsets.set(need.storage, offset);
    bytes = Math.max(bytes, end);
  }
  return { offsets, bytes };
}

import type { Buffer, BufferId, Storage } from "../../src/ir/program.ts";

/** Buffers of one kind, side by side in one allocation. */
export interface BlockLayout {
  /** Bytes from the allocation's start. */
  readonly offsets: ReadonlyMap<BufferId, number>;
  readonly bytes: number;
}

/** What allocations of the driver are aligned to, so that it makes no difference to kernels. */
const alignment = 256;

export function layOut(buffers: readonly Buffer[], kind: Storage["kind"]): BlockLayout {
  const offsets = new Map<BufferId, number>();
  let bytes = 0;
  for (const [id, buffer] of buffers.entries()) {
    if (buffer.storage.kind !== kind) continue;
    offsets.set(id, bytes);
    bytes += Math.max(1, Math.ceil(buffer.bytes / alignment)) * alignment;
  }
  return { offsets, bytes };
}

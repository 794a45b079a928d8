import { type Buffer, type BufferId, buffersOf, type Program } from "../../src/ir/program.ts";

/** What bulk copies and 16-byte loads want, with room to spare. */
const alignment = 256;

interface Lifetime {
  readonly id: BufferId;
  readonly bytes: number;
  first: number;
  last: number;
}

/**
 * Gives every scratch buffer its place in the arena: buffers that are never alive together share
 * memory. Largest first, each at the lowest offset where it meets nobody alive with it.
 */
export function planBuffers(program: Program): Program {
  const lifetimes = new Map<BufferId, Lifetime>();
  for (const [index, launch] of program.launches.entries()) {
    for (const id of launch.args.flatMap(buffersOf)) {
      const buffer = program.buffers[id];
      if (buffer?.storage.kind !== "scratch") continue;
      const known = lifetimes.get(id);
      if (known === undefined)
        lifetimes.set(id, { id, bytes: buffer.bytes, first: index, last: index });
      else known.last = index;
    }
  }
  const placed: { readonly lifetime: Lifetime; readonly offset: number; readonly end: number }[] =
    [];
  const offsets = new Map<BufferId, number>();
  const bySize = [...lifetimes.values()].sort((a, b) => b.bytes - a.bytes || a.id - b.id);
  for (const lifetime of bySize) {
    const together = placed
      .filter(({ lifetime: other }) => other.first <= lifetime.last && lifetime.first <= other.last)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const other of together) {
      if (offset + lifetime.bytes <= other.offset) break;
      offset = Math.max(offset, other.end);
    }
    const end = Math.ceil((offset + lifetime.bytes) / alignment) * alignment;
    placed.push({ lifetime, offset, end });
    offsets.set(lifetime.id, offset);
  }
  const place = (buffer: Buffer, id: BufferId): Buffer =>
    buffer.storage.kind === "scratch"
      ? { ...buffer, storage: { kind: "scratch", offset: offsets.get(id) ?? 0 } }
      : buffer;
  return {
    ...program,
    buffers: program.buffers.map(place),
    arenaBytes: placed.reduce((most, { end }) => Math.max(most, end), 0),
  };
}

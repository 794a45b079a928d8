import type { InspectedBuffer } from "../../inspection/inspection.ts";
import type { ProgramOutline } from "../../inspection/stored-page.ts";

/** A buffer's time and place in the arena. */
export interface ArenaBlock {
  readonly index: number;
  readonly buffer: InspectedBuffer;
  /** Bytes from the arena's start. */
  readonly offset: number;
  /** Family of the kernel that writes it first. */
  readonly family: string;
}

/** Scratch buffers that are used, by offset. */
export function arenaBlocks({ buffers, launches, kernels }: ProgramOutline): readonly ArenaBlock[] {
  return buffers
    .flatMap((buffer, index) => {
      if (buffer.offset === undefined) return [];
      const writer = launches[buffer.live[0]];
      const family = kernels[writer?.kernel ?? -1]?.family ?? "";
      return [{ index, buffer, offset: buffer.offset, family }];
    })
    .sort((a, b) => a.offset - b.offset);
}

/** Bytes in use at each launch: the arena could not be smaller than the most of them. */
export function arenaUse(blocks: readonly ArenaBlock[], launches: number): readonly number[] {
  const use = new Array<number>(launches).fill(0);
  for (const { buffer } of blocks)
    for (let launch = buffer.live[0]; launch <= buffer.live[1]; launch++)
      use[launch] = (use[launch] ?? 0) + buffer.bytes;
  return use;
}

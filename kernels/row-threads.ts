/** Threads of a block that works on one row: whole warps, `each` items to a thread while 1024 allow. */
export function rowThreads(items: number, each: number): number {
  return Math.min(1024, 32 * Math.ceil(items / each / 32));
}

import type { CudaDriver, DevicePtr } from "../../runtime/driver/driver.ts";
import { spread } from "../decode/statistics.ts";
import { DeviceKernels } from "./device-kernels.ts";

/** What a way to move memory reached. */
export interface Ceiling {
  /** Of every round. */
  readonly gigabytesPerSecond: readonly number[];
  /** For people: `8 pieces a thread, 512 threads, 528 blocks`. */
  readonly how: string;
}

export interface MemoryCeilings {
  /**
   * Bytes read and written, by the faster of a kernel of 16-byte loads and stores and the driver's
   * own copy: what "copy bandwidth" means everywhere.
   */
  readonly copy: Ceiling;
  /** Bytes read where nothing is written. */
  readonly read: Ceiling;
  readonly driverCopy: Ceiling;
}

export interface MemoryExtent {
  /** Of each of the two buffers; a multiple of 16. */
  readonly bytes: number;
  readonly rounds: number;
}

/** Many times any cache, and a copy takes about a millisecond. */
const usual: MemoryExtent = { bytes: 2 ** 31, rounds: 15 };
/** Rounds that choose among the configurations. */
const tryouts = 3;

/** Measures on random data; leaves the memory as it found it. */
export function measureMemory(
  driver: CudaDriver,
  ordinal: number,
  { bytes, rounds }: MemoryExtent = usual,
): MemoryCeilings {
  const kernels = new DeviceKernels(driver, ordinal);
  const [from, to] = [driver.memAlloc(bytes), driver.memAlloc(bytes)];
  try {
    kernels.fill(from, bytes, 1);
    const rate = (moved: number, work: () => void, count: number) =>
      kernels.time(work, count).map((ms) => moved / ms / 1e6);
    const best = (name: "copy" | "read", moved: number): Ceiling => {
      const tried = configurations(kernels.multiprocessors, bytes).map((one) => {
        const work = () => movePieces(kernels, name, one, to, from, bytes);
        return { ...one, work, gbps: spread(rate(moved, work, tryouts)).median };
      });
      const [winner] = tried.toSorted((a, b) => b.gbps - a.gbps);
      if (winner === undefined) throw new RangeError("there is no configuration to try");
      const { unroll, threads, blocks, work } = winner;
      return {
        gigabytesPerSecond: rate(moved, work, rounds),
        how: `a kernel, ${unroll} pieces a thread, ${threads} threads, ${blocks} blocks`,
      };
    };
    const driverCopy: Ceiling = {
      gigabytesPerSecond: rate(
        2 * bytes,
        () => driver.memcpyDtoDAsync(to, from, bytes, kernels.stream),
        rounds,
      ),
      how: "the driver's copy",
    };
    const ownCopy = best("copy", 2 * bytes);
    const [copy] = [ownCopy, driverCopy].toSorted((a, b) => medianOf(b) - medianOf(a));
    return { copy: copy ?? ownCopy, driverCopy, read: best("read", bytes) };
  } finally {
    driver.memFree(from);
    driver.memFree(to);
    kernels.close();
  }
}

/** Bytes a second that a copy in device memory moves, read and written (see `MemoryCeilings.copy`). */
export function copyBandwidth(driver: CudaDriver, ordinal: number): number {
  return 1e9 * medianOf(measureMemory(driver, ordinal, { ...usual, rounds: 9 }).copy);
}

export interface Configuration {
  /** Pieces of 16 bytes that a thread has in flight. */
  readonly unroll: 4 | 8;
  readonly threads: number;
  readonly blocks: number;
}

/** Multiprocessors full of threads that go round, and blocks that come once. */
export function configurations(multiprocessors: number, bytes: number): readonly Configuration[] {
  return ([4, 8] as const).flatMap((unroll) =>
    [256, 512, 1024].flatMap((threads) => {
      const once = Math.ceil(bytes / (16 * unroll * threads));
      const resident = Math.min((multiprocessors * 2048) / threads, once);
      return [...new Set([resident, once])].map((blocks) => ({ unroll, threads, blocks }));
    }),
  );
}

/** One launch of `copy` into `to`, or of `read`, which leaves a word for every warp in `to`. */
export function movePieces(
  kernels: DeviceKernels,
  name: "copy" | "read",
  { unroll, threads, blocks }: Configuration,
  to: DevicePtr,
  from: DevicePtr,
  bytes: number,
): void {
  kernels.launch(`${name}_${unroll}`, blocks, threads, [
    { type: "ptr", value: to },
    { type: "ptr", value: from },
    { type: "i64", value: bytes / 16 },
  ]);
}

function medianOf({ gigabytesPerSecond }: Ceiling): number {
  return spread(gigabytesPerSecond).median;
}

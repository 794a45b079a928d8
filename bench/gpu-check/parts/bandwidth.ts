import type { CudaDriver, Stream } from "../../../runtime/driver/driver.ts";
import { openDriver } from "../../../runtime/driver/open-driver.ts";
import type { PartContext } from "../part.ts";

const rounds = 20;

/** What copies reach: the yardstick of everything that waits for memory. */
export async function run(part: PartContext): Promise<void> {
  const driver = await openDriver("cuda");
  const ordinal = Number(part.device.split(":")[1] ?? 0);
  driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(ordinal)));
  const stream = driver.streamCreate();
  const bytes = 2 ** 31;
  const from = driver.memAlloc(bytes);
  const to = driver.memAlloc(bytes);
  driver.memsetD8(from, 1, bytes);
  const copies = timed(driver, stream, () => driver.memcpyDtoDAsync(to, from, bytes, stream));
  part.figure(
    "copy, bytes read and written",
    "GB/s",
    copies.map((ms) => (2 * bytes) / ms / 1e6),
  );
  const pinned = driver.memAllocHost(2 ** 28);
  const uploads = timed(driver, stream, () =>
    driver.memcpyHtoDAsync(to, pinned, 0, pinned.byteLength, stream),
  );
  part.figure(
    "upload from pinned memory",
    "GB/s",
    uploads.map((ms) => pinned.byteLength / ms / 1e6),
  );
  driver.memFreeHost(pinned);
  driver.memFree(from);
  driver.memFree(to);
  driver.close();
}

/** Milliseconds of each round, by the device's clock. */
function timed(driver: CudaDriver, stream: Stream, work: () => void): number[] {
  const events = Array.from({ length: rounds + 3 }, () => driver.eventCreate({ timing: true }));
  for (const event of events) {
    driver.eventRecord(event, stream);
    work();
  }
  driver.streamSynchronize(stream);
  // The first rounds wake the clocks up.
  return events.slice(2).flatMap((event, i) => {
    const before = events[i + 1];
    return before === undefined ? [] : [driver.eventElapsed(before, event)];
  });
}

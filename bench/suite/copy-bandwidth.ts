import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { spread } from "../decode/statistics.ts";

const rounds = 12;
const bytes = 2 ** 30;

/** Bytes a second that a copy in device memory moves, read and written: the median of some copies. */
export function copyBandwidth(driver: CudaDriver, ordinal: number): number {
  driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(ordinal)));
  const stream = driver.streamCreate();
  const from = driver.memAlloc(bytes);
  const to = driver.memAlloc(bytes);
  driver.memsetD8(from, 1, bytes);
  const events = Array.from({ length: rounds + 1 }, () => driver.eventCreate({ timing: true }));
  for (const event of events) {
    driver.eventRecord(event, stream);
    driver.memcpyDtoDAsync(to, from, bytes, stream);
  }
  driver.streamSynchronize(stream);
  // The first rounds wake the clocks up.
  const times = events
    .slice(1)
    .map((event, i) => driver.eventElapsed(events[i] ?? event, event))
    .slice(2);
  for (const event of events) driver.eventDestroy(event);
  driver.memFree(from);
  driver.memFree(to);
  driver.streamDestroy(stream);
  driver.primaryContextRelease(driver.deviceGet(ordinal));
  return (2 * bytes * 1000) / spread(times).median;
}

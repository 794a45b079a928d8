import { eventLoopTurn } from "../event-loop.ts";
import type { CudaDriver, Stream } from "../driver/driver.ts";

/** Milliseconds the event loop may be kept waiting: a turn of it costs some microseconds. */
const spinMs = 0.05;
/** Milliseconds between questions to the driver, which alone learns of a failed kernel. */
const queryMs = 1;

/**
 * Resolves when the host can see what the stream's last work has published, or when the stream has
 * nothing left to do. Looks, as memory tells sooner than the driver; other work of the process goes on.
 * @param enter called before driver calls and after awaits; throws when there is nothing to wait for.
 * @throws CudaError of a kernel that failed.
 */
export async function completion(
  driver: CudaDriver,
  stream: Stream,
  enter: () => void,
  isPublished: () => boolean,
): Promise<void> {
  if (driver.kind === "emulator") {
    // Its work is done by whoever waits for it.
    driver.streamSynchronize(stream);
    return;
  }
  const begin = performance.now();
  do {
    if (isPublished()) return;
  } while (performance.now() - begin < spinMs);
  let asked = begin;
  for (;;) {
    await eventLoopTurn();
    enter();
    if (isPublished()) return;
    const now = performance.now();
    if (now - asked < queryMs) continue;
    if (driver.streamQuery(stream)) return;
    asked = now;
  }
}

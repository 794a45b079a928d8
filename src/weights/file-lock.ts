import { open, readFile, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** A lock nobody has touched for this long belonged to a process that is gone, in ms. */
const abandonedAfter = 120_000;
const pollEvery = 200;

export interface FileLock {
  /** Says the holder is alive; call at least once a minute. */
  touch(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Takes a lock that works between processes (also on a shared disk): a file made exclusively,
 * holding host and process id. Waits while another holds it, until `unlessDone` says that waiting
 * is pointless; then returns `undefined`.
 */
export async function takeLock(
  path: string,
  unlessDone: () => Promise<boolean>,
): Promise<FileLock | undefined> {
  while (true) {
    if (await unlessDone()) return undefined;
    try {
      const handle = await open(path, "wx");
      await handle.writeFile(`${hostname()} ${process.pid}`);
      await handle.close();
      break;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
    if (await isAbandoned(path)) await rm(path, { force: true });
    else await sleep(pollEvery);
  }
  return {
    touch: async () => {
      const now = new Date();
      await utimes(path, now, now).catch(() => {});
    },
    release: () => rm(path, { force: true }),
  };
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > abandonedAfter) return true;
    const [host, pid] = (await readFile(path, "utf8")).split(" ");
    // Just made and not yet written, or another machine's: only its age can tell.
    if (host !== hostname() || pid === undefined) return false;
    return !isAlive(Number(pid));
  } catch {
    // Released in between; the next attempt decides.
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

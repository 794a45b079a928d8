import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HydrantError } from "../util/errors.ts";
import { takeLock } from "./file-lock.ts";
import { present } from "./hub-cache.ts";

/** A file to fetch and how its content is known. */
export interface RemoteFile {
  readonly name: string;
  readonly url: string;
  /** Size in bytes. */
  readonly size: number;
  /** SHA-256 of the content for large files; git's blob SHA-1 for the others. */
  readonly hash: { readonly kind: "sha256" | "git-sha1"; readonly hex: string };
}

export interface DownloadOptions {
  readonly fetch: typeof fetch;
  readonly headers: Readonly<Record<string, string>>;
  /** Attempts without any new byte before giving up. */
  readonly attempts: number;
  readonly progress: (done: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** Without a byte for this long the connection counts as dead, in ms. */
const stalledAfter = 60_000;
const touchEvery = 10_000;

/**
 * Fetches a file to `target`. What has arrived is kept in `target.partial` when the connection
 * breaks, and the next attempt (of this or a later process) asks for the rest only. Size and hash
 * are checked before the file appears under its name. Processes that want the same file take turns.
 *
 * @throws HydrantError `hub/*`; the signal's reason when aborted
 */
export async function downloadTo(
  target: string,
  remote: RemoteFile,
  options: DownloadOptions,
): Promise<void> {
  const partial = `${target}.partial`;
  try {
    await mkdir(dirname(target), { recursive: true });
    const lock = await takeLock(`${target}.lock`, () => {
      options.signal?.throwIfAborted();
      return present(target);
    });
    if (lock === undefined) return;
    const heartbeat = setInterval(() => void lock.touch(), touchEvery);
    heartbeat.unref();
    try {
      if (await present(target)) return;
      await fetchPartial(partial, remote, options);
      await rename(partial, target);
    } finally {
      clearInterval(heartbeat);
      await lock.release();
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof HydrantError) throw error;
    throw new HydrantError("hub/unwritable", `The download cannot be stored (${String(error)}).`, {
      path: target,
      hint: "Check free space and permissions; HF_HOME moves the cache elsewhere.",
      cause: error,
    });
  }
}

async function fetchPartial(
  partial: string,
  remote: RemoteFile,
  options: DownloadOptions,
): Promise<void> {
  // Only bytes never had before count as progress: a server that neither finishes nor continues
  // a transfer would otherwise be asked for ever.
  let most = await sizeOf(partial);
  for (let failures = 0; ; failures++) {
    let cause: unknown;
    try {
      if (await fetchRest(partial, await sizeOf(partial), remote, options)) return;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof HydrantError || isFileError(error)) throw error;
      cause = error;
    }
    const done = await sizeOf(partial);
    if (done > most) failures = 0;
    most = Math.max(most, done);
    if (failures + 1 >= options.attempts) {
      throw new HydrantError(
        "hub/interrupted",
        `The download broke off after ${done} of ${remote.size} bytes (${cause === undefined ? "connection closed" : String(cause)}).`,
        { path: remote.url, hint: "Run the command again: it continues where it stopped.", cause },
      );
    }
    await sleep(Math.min(8000, 250 * 2 ** failures), undefined, { signal: options.signal });
  }
}

/** One attempt; true once the whole file is there and its hash is right. */
async function fetchRest(
  partial: string,
  have: number,
  remote: RemoteFile,
  options: DownloadOptions,
): Promise<boolean> {
  if (have > remote.size) {
    await rm(partial, { force: true });
    return false;
  }
  const hash = startHash(remote);
  if (have > 0) for await (const chunk of createReadStream(partial)) hash.update(chunk as Buffer);
  options.progress(have);
  const done = have === remote.size ? have : await appendBody(partial, have, hash, remote, options);
  if (done < remote.size) return false;
  if (hash.digest("hex") === remote.hash.hex) return true;
  await rm(partial, { force: true });
  throw new HydrantError(
    "hub/wrong-hash",
    "The content of the download differs from what the hub announces.",
    {
      path: remote.url,
      hint: "Run the command again; if it repeats, the file or a proxy on the way is broken.",
    },
  );
}

/** Appends the bytes from `have` on; returns how many there are then. */
async function appendBody(
  partial: string,
  have: number,
  hash: Hash,
  remote: RemoteFile,
  options: DownloadOptions,
): Promise<number> {
  const abort = new AbortController();
  let watchdog = setTimeout(() => abort.abort(new Error("no data for a minute")), stalledAfter);
  const signal = options.signal ? AbortSignal.any([abort.signal, options.signal]) : abort.signal;
  try {
    const headers: Record<string, string> = { ...options.headers, "accept-encoding": "identity" };
    if (have > 0) headers.range = `bytes=${have}-`;
    const response = await options.fetch(remote.url, { headers, signal });
    const body = await checkedBody(response, have, remote);
    if (body === undefined) {
      // The server will not continue: start over with an empty file.
      await rm(partial, { force: true });
      return 0;
    }
    const file = await open(partial, "a");
    let done = have;
    try {
      for await (const chunk of body) {
        signal.throwIfAborted();
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(new Error("no data for a minute")), stalledAfter);
        if (done + chunk.length > remote.size) throw wrongSize(remote, "more");
        await writeAll(file, chunk);
        hash.update(chunk);
        done += chunk.length;
        options.progress(done);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    return done;
  } finally {
    clearTimeout(watchdog);
    abort.abort();
  }
}

async function checkedBody(
  response: Response,
  have: number,
  remote: RemoteFile,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  if (!response.ok) {
    await response.body?.cancel();
    if (response.status === 416) return undefined;
    if (response.status >= 500 || response.status === 429)
      throw new Error(`status ${response.status}`);
    throw statusError(response.status, remote.url, response.headers.get("x-error-code"));
  }
  if (have > 0 && response.status !== 206) {
    await response.body?.cancel();
    return undefined;
  }
  const length = response.headers.get("content-length");
  if (length !== null && Number(length) !== remote.size - have) {
    await response.body?.cancel();
    throw wrongSize(remote, `${Number(length) + have}`);
  }
  if (response.body === null) throw new Error("an answer without content");
  return response.body as unknown as AsyncIterable<Uint8Array>;
}

function wrongSize(remote: RemoteFile, found: string): HydrantError {
  return new HydrantError(
    "hub/wrong-size",
    `The hub announces ${remote.size} bytes but sends ${found}.`,
    {
      path: remote.url,
      hint: "Run the command again; if it repeats, the file or a proxy on the way is broken.",
    },
  );
}

/** The error for an answer of the hub that is no success. `errorCode` is its X-Error-Code header. */
export function statusError(status: number, url: string, errorCode: string | null): HydrantError {
  if (errorCode === "GatedRepo" || status === 403) {
    return new HydrantError(
      "hub/gated",
      "The hub grants access to this repository only on request.",
      {
        path: url,
        hint: "Accept its terms on its web page, then set HF_TOKEN to a token of that account.",
      },
    );
  }
  if (errorCode === "RevisionNotFound") {
    return new HydrantError("hub/not-found", "The repository has no such revision.", { path: url });
  }
  if (status === 401) {
    return new HydrantError("hub/unauthorized", "The repository does not exist or is private.", {
      path: url,
      hint: "Check the name; for a private or gated repository set HF_TOKEN.",
    });
  }
  if (status === 404) {
    return new HydrantError("hub/not-found", "The hub has no such repository or file.", {
      path: url,
      hint: "Check the name: org/name, with @revision where needed.",
    });
  }
  return new HydrantError("hub/failed", `The hub answered with status ${status}.`, {
    path: url,
    hint: "Try again later.",
  });
}

function startHash(remote: RemoteFile): Hash {
  if (remote.hash.kind === "sha256") return createHash("sha256");
  return createHash("sha1").update(`blob ${remote.size}\0`);
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (status) => status.size,
    () => 0,
  );
}

/** Disk errors carry the system call; network errors come wrapped by fetch. */
function isFileError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

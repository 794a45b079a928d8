import { type FileHandle, open } from "node:fs/promises";
import { HydrantError } from "../util/errors.ts";

/** Largest single read: what stays in flight per tensor, and well under what one call may return. */
const pieceBytes = 8 * 1024 * 1024;

/** A file opened for positional reads; any number of them may run at once. */
export class RandomAccessFile {
  readonly path: string;
  /** Size in bytes at the time of opening. */
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  /** @throws HydrantError `checkpoint/not-found`, `checkpoint/unreadable` */
  static async open(path: string): Promise<RandomAccessFile> {
    let handle: FileHandle;
    try {
      handle = await open(path, "r");
    } catch (cause) {
      throw cannotRead(path, cause);
    }
    try {
      const status = await handle.stat();
      if (!status.isFile()) {
        throw new HydrantError("checkpoint/unreadable", "This is not a file.", { path });
      }
      return new RandomAccessFile(path, status.size, handle);
    } catch (error) {
      await handle.close();
      throw error instanceof HydrantError ? error : cannotRead(path, error);
    }
  }

  /** Fills `into` from byte `position` on. @throws HydrantError `checkpoint/truncated` when the file ends first */
  async read(into: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < into.length) {
      const length = Math.min(pieceBytes, into.length - done);
      let bytesRead = 0;
      // Past the end there is nothing, and the system call refuses offsets it cannot hold.
      if (position + done < this.size) {
        try {
          ({ bytesRead } = await this.#handle.read(into, done, length, position + done));
        } catch (cause) {
          throw cannotRead(this.path, cause);
        }
      }
      if (bytesRead === 0) {
        throw new HydrantError(
          "checkpoint/truncated",
          `The file ends at byte ${position + done}, inside the data.`,
          {
            path: this.path,
            hint: "Fetch or copy it again.",
          },
        );
      }
      done += bytesRead;
    }
  }

  /** A copy of at most `length` bytes from `position` on; shorter where the file ends. */
  async slice(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - position)));
    await this.read(bytes, position);
    return bytes;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

export function cannotRead(path: string, cause: unknown): HydrantError {
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (reason === "ENOENT" || reason === "ENOTDIR") {
    return new HydrantError("checkpoint/not-found", "There is no such file.", { path, cause });
  }
  return new HydrantError(
    "checkpoint/unreadable",
    `The file cannot be read (${reason || String(cause)}).`,
    {
      path,
      cause,
    },
  );
}

/**
 * Recognises what is often found in place of weights.
 *
 * @param start first bytes of the file, at least 64 where it has them
 */
export function impostor(start: Uint8Array): string | undefined {
  const text = new TextDecoder("latin1").decode(start.subarray(0, 64));
  if (text.startsWith("version https://git-lfs")) {
    return "This is a Git LFS pointer, not the weights; run `git lfs pull` or download the file itself.";
  }
  if (/^\s*<(!doctype|html)/i.test(text)) {
    return "This is a web page, not weights; the download went wrong.";
  }
  return undefined;
}

import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from "yauzl";
import { HydrantError } from "../util/errors.ts";
import type { RandomAccessFile } from "./random-access-file.ts";
import { shorten } from "./tensor-file.ts";

/** More entries than any checkpoint has; each costs memory before anything is known about it. */
const maxEntries = 50_000;

/** The stored (uncompressed) entries of a zip archive, by name. */
export interface ZipDirectory {
  readonly entries: ReadonlyMap<string, Entry>;
  /** First data byte of an entry in the file; its data lies wholly inside the file. */
  dataStart(name: string): Promise<number>;
}

/**
 * Reads a zip archive's central directory (zip64 included). Nothing is decompressed: checkpoints
 * store their data plain, so that it can be read in place.
 *
 * @throws HydrantError `checkpoint/bad-zip`, `checkpoint/unsupported`
 */
export async function readZipDirectory(file: RandomAccessFile): Promise<ZipDirectory> {
  const reader = new ZipReader(file);
  const entries = new Map<string, Entry>();
  const zip = await reader.guard(async () => {
    const opened = await fromRandomAccessReaderPromise(reader, file.size, {
      autoClose: false,
      strictFileNames: true,
    });
    if (opened.entryCount > maxEntries) throw damaged(file.path, `${opened.entryCount} entries`);
    return opened;
  });
  await reader.guard(async () => {
    for await (const entry of zip.eachEntry()) addEntry(entries, entry, file.path);
  });
  return { entries, dataStart: (name) => dataStart(reader, zip, entries.get(name)) };
}

function addEntry(entries: Map<string, Entry>, entry: Entry, path: string): void {
  const name = entry.fileName;
  if (entries.has(name)) throw damaged(path, `two entries named ${shorten(name)}`);
  if (entry.compressionMethod !== 0 || entry.isEncrypted()) {
    throw new HydrantError(
      "checkpoint/unsupported",
      "This entry of the archive is compressed or encrypted.",
      {
        path: `${path}: ${shorten(name)}`,
        hint: "Save the checkpoint again with torch.save, or convert it to safetensors.",
      },
    );
  }
  entries.set(name, entry);
}

async function dataStart(
  reader: ZipReader,
  zip: ZipFile,
  entry: Entry | undefined,
): Promise<number> {
  if (entry === undefined) throw new RangeError("the caller has looked the entry up");
  const header = await reader.guard(() => zip.readLocalFileHeaderPromise(entry, { minimal: true }));
  return header.fileDataStart;
}

/**
 * Lets yauzl read through our file. What its callbacks throw on a damaged archive would end the
 * process, so `guard` turns it into a rejection.
 */
class ZipReader extends RandomAccessReader {
  readonly #file: RandomAccessFile;
  #onCrash: (cause: unknown) => void = () => {};

  constructor(file: RandomAccessFile) {
    super();
    this.#file = file;
  }

  async guard<T>(action: () => Promise<T>): Promise<T> {
    const crashed = new Promise<never>((_, reject) => {
      this.#onCrash = reject;
    });
    try {
      return await Promise.race([action(), crashed]);
    } catch (error) {
      throw error instanceof HydrantError ? error : damaged(this.#file.path, String(error), error);
    }
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    const report = (error: Error | null): void => {
      try {
        callback(error);
      } catch (crash) {
        this.#onCrash(crash);
      }
    };
    this.#file.read(buffer.subarray(offset, offset + length), position).then(
      () => report(null),
      (error: Error) => report(error),
    );
  }

  override close(callback: (error: Error | null) => void): void {
    callback(null);
  }
}

function damaged(path: string, reason: string, cause?: unknown): HydrantError {
  return new HydrantError("checkpoint/bad-zip", `The archive is damaged or cut off (${reason}).`, {
    path,
    hint: "Fetch or copy the file again.",
    cause,
  });
}

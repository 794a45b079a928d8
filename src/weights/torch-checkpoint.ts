import { HydrantError } from "../util/errors.ts";
import { maxPickleBytes, PickleDict, unpickle } from "./pickle.ts";
import { impostor, RandomAccessFile } from "./random-access-file.ts";
import { elementCount, storedSize } from "./stored-dtype.ts";
import { readStrided } from "./strided-read.ts";
import { checkedInfo, shorten, type TensorFile, type TensorInfo } from "./tensor-file.ts";
import { type Storage, type StoredTensor, stateDictOf, TorchHost } from "./torch-state.ts";
import { readZipDirectory, type ZipDirectory } from "./zip-directory.ts";

/** A tensor and the file position of its storage's first byte. */
interface Located {
  readonly tensor: StoredTensor;
  readonly storagePosition: number;
}

/** What reading either form of the file comes to. */
interface Contents {
  readonly located: ReadonlyMap<string, Located>;
  readonly bigEndian: boolean;
}

/**
 * Opens a checkpoint written by torch.save: the zip form (torch 1.6 and later) or the older
 * concatenated pickles. Only descriptions are read; nothing in the file is ever executed. Tensors
 * that share a storage or are not contiguous read as if they stood alone.
 *
 * @throws HydrantError `checkpoint/*`, `pickle/*`
 */
export async function openTorchCheckpoint(path: string): Promise<TensorFile> {
  const file = await RandomAccessFile.open(path);
  try {
    return new TorchCheckpoint(file, await readContents(file));
  } catch (error) {
    await file.close();
    throw error;
  }
}

class TorchCheckpoint implements TensorFile {
  readonly file: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #file: RandomAccessFile;
  readonly #contents: Contents;

  constructor(file: RandomAccessFile, contents: Contents) {
    this.file = file.path;
    this.tensors = new Map(
      [...contents.located].map(([name, { tensor }]) => [name, describe(name, tensor, file.path)]),
    );
    this.#file = file;
    this.#contents = contents;
  }

  async read(name: string, into: Uint8Array, offset = 0): Promise<void> {
    const info = checkedInfo(this, name, into, offset);
    const located = this.#contents.located.get(name);
    if (located === undefined || into.length === 0) return;
    const elementSize = storedSize(info.dtype);
    const layout = { ...located.tensor, elementSize, storagePosition: located.storagePosition };
    await readStrided(this.#file, layout, into, offset / elementSize);
    if (this.#contents.bigEndian) reverseElements(into, elementSize);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function describe(name: string, tensor: StoredTensor, file: string): TensorInfo {
  const { dtype } = tensor.storage;
  const byteLength = (elementCount(tensor.shape) ?? 0) * storedSize(dtype);
  return { name, dtype, shape: tensor.shape, byteLength, file };
}

function reverseElements(bytes: Uint8Array, elementSize: number): void {
  for (let at = 0; at < bytes.length; at += elementSize)
    bytes.subarray(at, at + elementSize).reverse();
}

async function readContents(file: RandomAccessFile): Promise<Contents> {
  const start = await file.slice(0, 512);
  const startsWith = (...bytes: number[]): boolean => bytes.every((byte, i) => start[i] === byte);
  if (startsWith(0x50, 0x4b, 0x03, 0x04)) return readZipForm(file);
  if (startsWith(0x80, 0x02, 0x8a, 0x0a)) return readLegacyForm(file);
  const isTar = new TextDecoder().decode(start.subarray(257, 262)) === "ustar";
  const message = isTar
    ? "This is a tar checkpoint, as torch wrote before 0.4; that form is not supported."
    : (impostor(start) ?? "This is not a file written by torch.save.");
  throw new HydrantError("checkpoint/unsupported", message, {
    path: file.path,
    ...(isTar
      ? { hint: "Load it with an old torch and save it again, or convert it to safetensors." }
      : {}),
  });
}

async function readZipForm(file: RandomAccessFile): Promise<Contents> {
  const zip = await readZipDirectory(file);
  const prefix = archivePrefix(zip, file.path);
  const pickle = await readEntry(file, zip, `${prefix}data.pkl`, maxPickleBytes);
  const { value } = unpickle(pickle, new TorchHost(file.path), `${file.path}: ${prefix}data.pkl`);
  const positions = new Map<string, number>();
  const located = new Map<string, Located>();
  for (const [name, tensor] of stateDictOf(value, file.path)) {
    const { key } = tensor.storage;
    checkStorageEntry(
      zip,
      `${prefix}data/${key}`,
      tensor.storage,
      `${file.path}: ${shorten(name)}`,
    );
    const storagePosition = positions.get(key) ?? (await zip.dataStart(`${prefix}data/${key}`));
    positions.set(key, storagePosition);
    located.set(name, { tensor, storagePosition });
  }
  return { located, bigEndian: await isBigEndian(file, zip, `${prefix}byteorder`) };
}

/** Everything lies under one directory, named after the file it was first saved as. */
function archivePrefix(zip: ZipDirectory, path: string): string {
  const pickles = [...zip.entries.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    throw new HydrantError(
      "checkpoint/unsupported",
      "The archive is no torch checkpoint: it has no single data.pkl.",
      {
        path,
      },
    );
  }
  const prefix = pickle.slice(0, -"data.pkl".length);
  if (zip.entries.has(`${prefix}constants.pkl`)) {
    throw new HydrantError(
      "checkpoint/unsupported",
      "This is a TorchScript program, not a checkpoint of weights.",
      {
        path,
        hint: "Save the model's state_dict() instead.",
      },
    );
  }
  return prefix;
}

function checkStorageEntry(
  zip: ZipDirectory,
  entryName: string,
  storage: Storage,
  path: string,
): void {
  const size = zip.entries.get(entryName)?.uncompressedSize;
  const expected = storage.count * storedSize(storage.dtype);
  if (size === expected) return;
  const message =
    size === undefined
      ? `Its data (${shorten(entryName)}) is missing from the archive.`
      : `Its data should have ${expected} bytes and has ${size}.`;
  throw new HydrantError("checkpoint/bad-storage", message, { path });
}

async function isBigEndian(
  file: RandomAccessFile,
  zip: ZipDirectory,
  entryName: string,
): Promise<boolean> {
  if (!zip.entries.has(entryName)) return false;
  const text = new TextDecoder().decode(await readEntry(file, zip, entryName, 64)).trim();
  if (text === "little" || text === "big") return text === "big";
  throw new HydrantError(
    "checkpoint/unsupported",
    `Byte order ${JSON.stringify(text)} is not known.`,
    {
      path: file.path,
    },
  );
}

async function readEntry(
  file: RandomAccessFile,
  zip: ZipDirectory,
  name: string,
  limit: number,
): Promise<Uint8Array> {
  const size = zip.entries.get(name)?.uncompressedSize ?? 0;
  if (size > limit) {
    throw new HydrantError(
      "pickle/too-large",
      `This entry has ${size} bytes; at most ${limit} are read.`,
      {
        path: `${file.path}: ${name}`,
      },
    );
  }
  return file.slice(await zip.dataStart(name), size);
}

const legacyMagic = 0x1950a86a20f9469cfc6cn;

/** Pickles of magic, protocol, system, object, storage keys; then each storage: i64 count, data. */
async function readLegacyForm(file: RandomAccessFile): Promise<Contents> {
  const bytes = await file.slice(0, maxPickleBytes);
  const host = new TorchHost(file.path);
  const values: unknown[] = [];
  let at = 0;
  while (values.length < 5) {
    const { value, end } = unpickle(bytes, host, file.path, at);
    values.push(value);
    at = end;
  }
  const [magic, protocol, system, object, keys] = values;
  if (magic !== legacyMagic || protocol !== 1001 || !Array.isArray(keys)) {
    throw new HydrantError("checkpoint/unsupported", "This is not a file written by torch.save.", {
      path: file.path,
    });
  }
  const littleEndian =
    system instanceof PickleDict ? system.toMap().get("little_endian") : undefined;
  const bigEndian = littleEndian === false;
  const positions = await locateStorages(file, host.storages, keys, at, bigEndian);
  const located = new Map<string, Located>();
  for (const [name, tensor] of stateDictOf(object, file.path)) {
    const storagePosition = positions.get(tensor.storage.key);
    if (storagePosition === undefined)
      throw badLegacyStorage(file.path, tensor.storage.key, "has no data");
    located.set(name, { tensor, storagePosition });
  }
  return { located, bigEndian };
}

async function locateStorages(
  file: RandomAccessFile,
  storages: ReadonlyMap<string, Storage>,
  keys: readonly unknown[],
  start: number,
  bigEndian: boolean,
): Promise<Map<string, number>> {
  const positions = new Map<string, number>();
  let at = start;
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (storage === undefined || positions.has(storage.key)) {
      throw badLegacyStorage(file.path, String(key), "is listed twice or nowhere described");
    }
    const prefix = await file.slice(at, 8);
    const count = prefix.length < 8 ? -1n : new DataView(prefix.buffer).getBigInt64(0, !bigEndian);
    const end = at + 8 + storage.count * storedSize(storage.dtype);
    if (count !== BigInt(storage.count) || end > file.size) {
      throw badLegacyStorage(
        file.path,
        storage.key,
        "is cut off or has another length than described",
      );
    }
    positions.set(storage.key, at + 8);
    at = end;
  }
  return positions;
}

function badLegacyStorage(path: string, key: string, what: string): HydrantError {
  return new HydrantError("checkpoint/bad-storage", `Storage ${shorten(key)} ${what}.`, { path });
}

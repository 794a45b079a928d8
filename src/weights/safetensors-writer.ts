import { randomUUID } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { HydrantError, invariant } from "../util/errors.ts";
import { elementCount, type StoredDType, storedDTypes, storedSize } from "./stored-dtype.ts";

/** A tensor to write: its description, and a reader that fills a piece of it. */
export interface TensorSource {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** Fills `into` from byte `offset` of the contiguous row-major little-endian data. */
  readonly read: (into: Uint8Array, offset: number) => Promise<void>;
}

const pieceBytes = 8 * 1024 * 1024;

/**
 * Writes a safetensors file: tensors by falling rank of their dtype, then by name, the header
 * padded with spaces to a multiple of 8, so that every tensor is aligned to its element size.
 * Holds one 8 MiB piece at a time. The file appears under its name only once it is complete.
 *
 * @throws HydrantError `safetensors/unwritable`, `safetensors/bad-name`, and what the sources throw
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorSource>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ordered = [...tensors].sort(byRankThenName);
  const header = encodeHeader(ordered, metadata, path);
  const partial = `${path}.${randomUUID()}.partial`;
  try {
    const handle = await open(partial, "wx");
    try {
      await writeAll(handle, header);
      for (const tensor of ordered) await copyTensor(handle, tensor);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof HydrantError) throw error;
    throw new HydrantError(
      "safetensors/unwritable",
      `The file cannot be written (${String(error)}).`,
      {
        path,
        cause: error,
      },
    );
  }
}

function byRankThenName(a: TensorSource, b: TensorSource): number {
  const rank = storedDTypes.indexOf(b.dtype) - storedDTypes.indexOf(a.dtype);
  return rank !== 0 ? rank : a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function encodeHeader(
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
  path: string,
): Uint8Array {
  const parts: string[] = [];
  if (Object.keys(metadata).length > 0) parts.push(`"__metadata__":${JSON.stringify(metadata)}`);
  const names = new Set(["__metadata__"]);
  let begin = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name) || !name.isWellFormed()) {
      throw new HydrantError(
        "safetensors/bad-name",
        `Tensor name ${JSON.stringify(name)} is taken or no valid text.`,
        {
          path,
        },
      );
    }
    names.add(name);
    const end = begin + byteLengthOf({ dtype, shape });
    parts.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype: dtype.toUpperCase(), shape, data_offsets: [begin, end] })}`,
    );
    begin = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return header;
}

function byteLengthOf(tensor: Pick<TensorSource, "dtype" | "shape">): number {
  const count = elementCount(tensor.shape);
  invariant(count !== undefined, "a tensor to write has a countable shape");
  return count * storedSize(tensor.dtype);
}

async function copyTensor(handle: FileHandle, tensor: TensorSource): Promise<void> {
  const byteLength = byteLengthOf(tensor);
  const piece = new Uint8Array(Math.min(pieceBytes, byteLength));
  for (let offset = 0; offset < byteLength; offset += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, byteLength - offset));
    await tensor.read(part, offset);
    await writeAll(handle, part);
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}

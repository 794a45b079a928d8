import { HydrantError, invariant } from "../util/errors.ts";
import { type StoredDType, storedSize } from "./stored-dtype.ts";

/** One stored tensor: what a header says, without its data. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** Size of the contiguous row-major data `read` delivers. */
  readonly byteLength: number;
  /** File the data lies in. */
  readonly file: string;
}

/**
 * Named tensors on disk, whatever the file format. Opening reads headers only; data goes from the
 * file straight into the caller's memory, in bounded pieces.
 */
export interface TensorFile {
  /** File or directory that was opened. */
  readonly file: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Fills `into` with the tensor's bytes from byte `offset` (default 0) on: contiguous, row-major,
   * little-endian, in the stored dtype. `into` may be backed by a SharedArrayBuffer; its length
   * and `offset` are multiples of the element size. Reads may run side by side.
   *
   * @throws HydrantError `checkpoint/unknown-tensor`, `checkpoint/truncated`, `checkpoint/unreadable`
   */
  read(name: string, into: Uint8Array, offset?: number): Promise<void>;
  close(): Promise<void>;
}

/** The tensor's info; checks that the bytes asked for lie inside it. */
export function checkedInfo(
  file: TensorFile,
  name: string,
  into: Uint8Array,
  offset: number,
): TensorInfo {
  const info = file.tensors.get(name);
  if (info === undefined) {
    throw new HydrantError("checkpoint/unknown-tensor", `There is no tensor ${shorten(name)}.`, {
      path: file.file,
    });
  }
  const size = storedSize(info.dtype);
  invariant(
    offset >= 0 &&
      offset + into.length <= info.byteLength &&
      offset % size === 0 &&
      into.length % size === 0,
    `bytes ${offset}..${offset + into.length} of ${name} (${info.byteLength} bytes of ${info.dtype})`,
  );
  return info;
}

/** Names come from the file: long ones are cut before they reach a message. */
export function shorten(name: string): string {
  return name.length <= 120 ? name : `${name.slice(0, 117)}...`;
}

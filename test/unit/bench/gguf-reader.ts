/** What a GGUF file says, read by the format's description alone. */
export interface GgufFile {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, unknown>;
  readonly tensors: ReadonlyMap<string, GgufEntry>;
  /** Start of the data area. */
  readonly dataStart: number;
}

export interface GgufEntry {
  /** Innermost first, as stored. */
  readonly extents: readonly number[];
  readonly type: number;
  /** From the start of the data area. */
  readonly offset: number;
}

export function readGguf(file: Uint8Array): GgufFile {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = 0;
  const take = (bytes: number) => {
    at += bytes;
    return at - bytes;
  };
  const u32 = () => view.getUint32(take(4), true);
  const u64 = () => Number(view.getBigUint64(take(8), true));
  const text = () => {
    const begin = take(u64());
    return new TextDecoder("utf-8", { fatal: true }).decode(file.subarray(begin, at));
  };
  const value = (type: number): unknown => {
    if (type === 4) return u32();
    if (type === 5) return view.getInt32(take(4), true);
    if (type === 6) return view.getFloat32(take(4), true);
    if (type === 7) return view.getUint8(take(1)) === 1;
    if (type === 8) return text();
    if (type === 9) {
      const element = u32();
      return Array.from({ length: u64() }, () => value(element));
    }
    throw new Error(`value type ${type}`);
  };

  if (String.fromCharCode(...file.subarray(0, 4)) !== "GGUF") throw new Error("no magic");
  at = 4;
  const version = u32();
  const tensorCount = u64();
  const valueCount = u64();
  const metadata = new Map<string, unknown>();
  for (let i = 0; i < valueCount; i++) metadata.set(text(), value(u32()));
  const tensors = new Map<string, GgufEntry>();
  for (let i = 0; i < tensorCount; i++) {
    const name = text();
    const extents = Array.from({ length: u32() }, u64);
    tensors.set(name, { extents, type: u32(), offset: u64() });
  }
  return { version, metadata, tensors, dataStart: Math.ceil(at / 32) * 32 };
}

/**
 * GGUF version 3, little-endian: magic, counts, metadata, tensor descriptions, then the data, every
 * tensor starting at a multiple of the alignment. Offsets count from the start of the data.
 * Format: ggml's docs/gguf.md.
 */
export type GgufValue =
  | { readonly type: "u32"; readonly value: number }
  | { readonly type: "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "i32s"; readonly value: readonly number[] };

export type GgufTensorType = "f32" | "f16" | "bf16";

export interface GgufTensor {
  readonly name: string;
  readonly type: GgufTensorType;
  /** Row-major, outermost first; GGUF stores the extents the other way round. */
  readonly shape: readonly number[];
}

export interface PlacedTensor {
  readonly tensor: GgufTensor;
  /** First byte, from the start of the file. */
  readonly begin: number;
  readonly byteLength: number;
}

export interface GgufLayout {
  /** Everything before the data, padded to the alignment. */
  readonly head: Uint8Array;
  readonly tensors: readonly PlacedTensor[];
  /** Size of the whole file, its last tensor padded too. */
  readonly byteLength: number;
}

/** What readers assume when the file does not name another. */
export const alignment = 32;

const valueTypes = { u32: 4, f32: 6, bool: 7, string: 8, array: 9, i32: 5 } as const;
const tensorTypes = {
  f32: { id: 0, size: 4 },
  f16: { id: 1, size: 2 },
  bf16: { id: 30, size: 2 },
} as const;

/** Lays out a file with the tensors' data in the given order. */
export function layOutGguf(
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): GgufLayout {
  const out = new LittleEndianBytes();
  out.raw(new TextEncoder().encode("GGUF"));
  out.u32(3);
  out.u64(tensors.length);
  out.u64(metadata.size);
  for (const [key, value] of metadata) {
    out.text(key);
    writeValue(out, value);
  }
  const offsets: number[] = [];
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    out.text(name);
    out.u32(shape.length);
    for (const extent of shape.toReversed()) out.u64(extent);
    out.u32(tensorTypes[type].id);
    out.u64(offset);
    offsets.push(offset);
    offset = aligned(offset + byteLength({ name, type, shape }));
  }
  out.zeros(aligned(out.length) - out.length);
  const head = out.bytes();
  return {
    head,
    tensors: tensors.map((tensor, index) => ({
      tensor,
      begin: head.length + (offsets[index] ?? 0),
      byteLength: byteLength(tensor),
    })),
    byteLength: head.length + offset,
  };
}

function writeValue(out: LittleEndianBytes, value: GgufValue): void {
  switch (value.type) {
    case "u32":
      out.u32(valueTypes.u32);
      out.u32(value.value);
      break;
    case "f32":
      out.u32(valueTypes.f32);
      out.f32(value.value);
      break;
    case "bool":
      out.u32(valueTypes.bool);
      out.raw(Uint8Array.of(value.value ? 1 : 0));
      break;
    case "string":
      out.u32(valueTypes.string);
      out.text(value.value);
      break;
    case "strings":
      out.u32(valueTypes.array);
      out.u32(valueTypes.string);
      out.u64(value.value.length);
      for (const text of value.value) out.text(text);
      break;
    case "i32s":
      out.u32(valueTypes.array);
      out.u32(valueTypes.i32);
      out.u64(value.value.length);
      for (const number of value.value) out.i32(number);
      break;
    default:
      value satisfies never;
  }
}

function byteLength({ type, shape }: GgufTensor): number {
  return shape.reduce((product, extent) => product * extent, tensorTypes[type].size);
}

function aligned(offset: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

class LittleEndianBytes {
  #buffer = Buffer.alloc(64 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  u32(value: number): void {
    this.#buffer.writeUInt32LE(value, this.#claim(4));
  }

  i32(value: number): void {
    this.#buffer.writeInt32LE(value, this.#claim(4));
  }

  u64(value: number): void {
    this.#buffer.writeBigUInt64LE(BigInt(value), this.#claim(8));
  }

  f32(value: number): void {
    this.#buffer.writeFloatLE(value, this.#claim(4));
  }

  /** A string as the format has it: byte length, then UTF-8 without a final zero. */
  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  raw(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#claim(bytes.length));
  }

  zeros(count: number): void {
    this.raw(new Uint8Array(count));
  }

  #claim(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.alloc(2 * this.#length);
      grown.set(this.#buffer);
      this.#buffer = grown;
    }
    return at;
  }
}

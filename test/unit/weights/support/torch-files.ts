import { crc32 } from "node:zlib";

/** Pieces of a protocol 2 pickle. */
export const pickle = {
  bytes: (...parts: (number | string | Uint8Array)[]): Uint8Array =>
    Buffer.concat(
      parts.map((part) =>
        typeof part === "number"
          ? Uint8Array.of(part)
          : typeof part === "string"
            ? Buffer.from(part, "latin1")
            : part,
      ),
    ),
  text: (value: string): Uint8Array => {
    const utf8 = Buffer.from(value, "utf8");
    return pickle.bytes("X", u32(utf8.length), utf8);
  },
  int: (value: number): Uint8Array => {
    const bytes = Buffer.alloc(5);
    bytes.write("J", "latin1");
    bytes.writeInt32LE(value, 1);
    return bytes;
  },
  tuple: (...items: Uint8Array[]): Uint8Array => pickle.bytes("(", ...items, "t"),
  global: (module: string, name: string): Uint8Array => pickle.bytes(`c${module}\n${name}\n`),
  orderedDict: (...entries: Uint8Array[]): Uint8Array =>
    pickle.bytes(pickle.global("collections", "OrderedDict"), ")R(", ...entries, "u"),
  /** A complete pickle of one value. */
  whole: (value: Uint8Array): Uint8Array => pickle.bytes(0x80, 2, value, "."),
};

export interface TensorSpec {
  readonly key: string;
  readonly count: number;
  readonly storage?: string;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** Legacy files give storages a sixth element. */
export function tensorPickle(spec: TensorSpec, legacy = false): Uint8Array {
  const id = [
    pickle.text("storage"),
    pickle.global("torch", spec.storage ?? "FloatStorage"),
    pickle.text(spec.key),
    pickle.text("cpu"),
    pickle.int(spec.count),
  ];
  if (legacy) id.push(pickle.bytes("N"));
  return pickle.bytes(
    pickle.global("torch._utils", "_rebuild_tensor_v2"),
    pickle.tuple(
      pickle.bytes(pickle.tuple(...id), "Q"),
      pickle.int(spec.offset ?? 0),
      pickle.tuple(...spec.shape.map(pickle.int)),
      pickle.tuple(...spec.strides.map(pickle.int)),
      pickle.bytes(0x89),
      pickle.orderedDict(),
    ),
    "R",
  );
}

export function stateDict(
  tensors: Readonly<Record<string, TensorSpec>>,
  legacy = false,
): Uint8Array {
  return pickle.orderedDict(
    ...Object.entries(tensors).map(([name, spec]) =>
      pickle.bytes(pickle.text(name), tensorPickle(spec, legacy)),
    ),
  );
}

/** The zip form: data.pkl, the storages, and entries given beside. */
export function torchZip(
  object: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>>,
  others: Readonly<Record<string, Uint8Array>> = {},
  options: ZipOptions = {},
): Uint8Array {
  const entries: [string, Uint8Array][] = [["archive/data.pkl", pickle.whole(object)]];
  for (const [key, bytes] of Object.entries(storages)) entries.push([`archive/data/${key}`, bytes]);
  for (const [name, bytes] of Object.entries(others)) entries.push([`archive/${name}`, bytes]);
  return zip(entries, options);
}

/** The form before torch 1.6: five pickles, then each storage with its count. */
export function torchLegacy(
  object: Uint8Array,
  storages: readonly { readonly key: string; readonly count: number; readonly bytes: Uint8Array }[],
  bigEndian = false,
): Uint8Array {
  const magic = Buffer.from("1950a86a20f9469cfc6c", "hex").reverse();
  const system = pickle.bytes("}", pickle.text("little_endian"), bigEndian ? 0x89 : 0x88, "s");
  const count = (value: number): Uint8Array => {
    const bytes = Buffer.alloc(8);
    if (bigEndian) bytes.writeBigInt64BE(BigInt(value));
    else bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  };
  return pickle.bytes(
    pickle.whole(pickle.bytes(0x8a, 10, magic)),
    pickle.whole(pickle.int(1001)),
    pickle.whole(system),
    pickle.whole(object),
    pickle.whole(pickle.bytes("](", ...storages.map(({ key }) => pickle.text(key)), "e")),
    ...storages.flatMap((storage) => [count(storage.count), storage.bytes]),
  );
}

export interface ZipOptions {
  /** 0 stored, 8 deflated (as marked; the data is written as given). */
  readonly method?: number;
  readonly zip64?: boolean;
}

export function zip(
  entries: readonly (readonly [string, Uint8Array])[],
  options: ZipOptions = {},
): Uint8Array {
  const { method = 0, zip64 = false } = options;
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, data] of entries) {
    const local = Buffer.concat([
      u32(0x04034b50),
      u16(45),
      u16(0),
      fields(method, data, name, 0),
      Buffer.from(name),
    ]);
    const extra = zip64
      ? Buffer.concat([u16(1), u16(24), u64(data.length), u64(data.length), u64(at)])
      : Buffer.alloc(0);
    directory.push(
      Buffer.concat([
        u32(0x02014b50),
        u16(45),
        u16(45),
        u16(0),
        fields(method, data, name, extra.length, zip64),
        Buffer.alloc(10),
        u32(zip64 ? 0xffffffff : at),
        Buffer.from(name),
        extra,
      ]),
    );
    parts.push(local, Buffer.from(data));
    at += local.length + data.length;
  }
  const central = Buffer.concat(directory);
  const end64 = zip64
    ? [
        u32(0x06064b50),
        u64(44),
        u16(45),
        u16(45),
        Buffer.alloc(8),
        u64(entries.length),
        u64(entries.length),
        u64(central.length),
        u64(at),
        u32(0x07064b50),
        u32(0),
        u64(at + central.length),
        u32(1),
      ]
    : [];
  const total = u16(zip64 ? 0xffff : entries.length);
  const end = [
    u32(0x06054b50),
    u32(0),
    total,
    total,
    u32(central.length),
    u32(zip64 ? 0xffffffff : at),
    u16(0),
  ];
  return Buffer.concat([...parts, central, ...end64, ...end]);
}

function fields(
  method: number,
  data: Uint8Array,
  name: string,
  extra: number,
  zip64 = false,
): Buffer {
  const size = u32(zip64 ? 0xffffffff : data.length);
  return Buffer.concat([
    u16(method),
    u32(0),
    u32(crc32(data)),
    size,
    size,
    u16(name.length),
    u16(extra),
  ]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

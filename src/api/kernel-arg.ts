/** Arguments of the kernel runner as text: `DTYPE:COUNT:INIT` is a buffer, `DTYPE=VALUE` a scalar. */
import { readFileSync } from "node:fs";
import { toBf16, toF16 } from "../ir/float-formats.ts";
import { HydrantError } from "../util/errors.ts";

export const kernelDTypes = ["f64", "f32", "f16", "bf16", "i64", "i32", "u32", "i8", "u8"] as const;
/** Element types of kernel arguments. */
export type KernelDType = (typeof kernelDTypes)[number];

export const bytesPerElement: Record<KernelDType, number> = {
  f64: 8,
  f32: 4,
  f16: 2,
  bf16: 2,
  i64: 8,
  i32: 4,
  u32: 4,
  i8: 1,
  u8: 1,
};

/** What a buffer holds before the kernel runs. */
export type BufferInit =
  | { readonly kind: "zeros" | "ones" | "iota" | "random" | "uninit" }
  /** Raw little-endian elements, as many bytes as the buffer has. */
  | { readonly kind: "file"; readonly path: string };

/** One argument of a kernel: memory made for the run, or a value. */
export type KernelRunArg =
  | {
      readonly kind: "buffer";
      readonly dtype: KernelDType;
      readonly count: number;
      readonly init: BufferInit;
    }
  /** `bytes` is the value in memory order: all that a kernel parameter is. */
  | { readonly kind: "scalar"; readonly dtype: KernelDType; readonly bytes: Uint8Array };

const usage = (text: string, message: string): HydrantError =>
  new HydrantError("kernel/argument", message, {
    path: `--arg ${text}`,
    hint: "Write a buffer as DTYPE:COUNT:INIT (f32:1024:random) or a scalar as DTYPE=VALUE (i32=1024).",
  });

/**
 * Reads an argument as the command line takes it: a buffer `DTYPE:COUNT:INIT`, a scalar `DTYPE=VALUE`.
 * @throws HydrantError `kernel/argument` for anything that is neither form.
 */
export function parseKernelArg(text: string): KernelRunArg {
  const scalar = /^(\w+)=(.*)$/.exec(text);
  if (scalar !== null) {
    const dtype = parseDType(text, scalar[1] ?? "");
    return { kind: "scalar", dtype, bytes: scalarBytes(text, dtype, scalar[2] ?? "") };
  }
  // Only two colons count: the path of @FILE may hold more.
  const buffer = /^(\w+):(\d+):(.+)$/s.exec(text);
  if (buffer === null) throw usage(text, "The argument is neither a buffer nor a scalar.");
  const dtype = parseDType(text, buffer[1] ?? "");
  const count = Number(buffer[2]);
  if (count < 1 || count * bytesPerElement[dtype] > 2 ** 32) {
    throw usage(text, "A buffer has at least one element and at most 4 GiB.");
  }
  return { kind: "buffer", dtype, count, init: parseInit(text, buffer[3] ?? "") };
}

function parseDType(text: string, name: string): KernelDType {
  const dtype = kernelDTypes.find((one) => one === name);
  if (dtype !== undefined) return dtype;
  throw usage(text, `There is no type "${name}"; the types are ${kernelDTypes.join(" ")}.`);
}

function parseInit(text: string, init: string): BufferInit {
  switch (init) {
    case "zeros":
    case "ones":
    case "iota":
    case "random":
    case "uninit":
      return { kind: init };
    default:
      if (init.length > 1 && init.startsWith("@")) return { kind: "file", path: init.slice(1) };
      throw usage(
        text,
        `There is no initial value "${init}"; use zeros, ones, iota, random, uninit or @FILE.`,
      );
  }
}

const INTEGER_RANGES: Partial<Record<KernelDType, readonly [bigint, bigint]>> = {
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
  i32: [-(2n ** 31n), 2n ** 31n - 1n],
  u32: [0n, 2n ** 32n - 1n],
  i8: [-128n, 127n],
  u8: [0n, 255n],
};

function scalarBytes(text: string, dtype: KernelDType, value: string): Uint8Array {
  const bytes = new Uint8Array(bytesPerElement[dtype]);
  const range = INTEGER_RANGES[dtype];
  if (range === undefined) {
    const number = Number(value);
    if (value.trim() === "" || (Number.isNaN(number) && !/^[+-]?nan$/i.test(value))) {
      throw usage(text, `"${value}" is not a number.`);
    }
    writeElement(dtype, new DataView(bytes.buffer), 0, number);
    return bytes;
  }
  if (!/^[+-]?(\d+|0x[\da-f]+)$/i.test(value)) throw usage(text, `"${value}" is not an integer.`);
  const magnitude = BigInt(value.replace(/^[+-]/, ""));
  const integer = value.startsWith("-") ? -magnitude : magnitude;
  if (integer < range[0] || integer > range[1]) {
    throw usage(text, `${value} is out of the range of ${dtype}, ${range[0]} to ${range[1]}.`);
  }
  let rest = BigInt.asUintN(64, integer);
  for (let i = 0; i < bytes.length; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** Writes element `index`, rounded to the nearest value of a float type, wrapped to an integer one. */
function writeElement(dtype: KernelDType, view: DataView, index: number, value: number): void {
  switch (dtype) {
    case "f64":
      view.setFloat64(8 * index, value, true);
      return;
    case "f32":
      view.setFloat32(4 * index, value, true);
      return;
    case "f16":
      view.setUint16(2 * index, toF16(value), true);
      return;
    case "bf16":
      view.setUint16(2 * index, toBf16(value), true);
      return;
    case "i64":
      view.setBigInt64(8 * index, BigInt(value), true);
      return;
    case "i32":
    case "u32":
      view.setUint32(4 * index, value, true);
      return;
    case "i8":
    case "u8":
      view.setUint8(index, value);
      return;
    default:
      dtype satisfies never;
  }
}

/**
 * The initial bytes of a buffer, or undefined for `uninit`. `random` is uniform: floats in [-1, 1],
 * integers over their whole range; the same seed and argument position give the same bytes.
 * Throws `kernel/argument-file` when a file is missing or of another size.
 */
export function initialBytes(
  arg: Extract<KernelRunArg, { kind: "buffer" }>,
  seed: number,
  position: number,
): Uint8Array | undefined {
  const { dtype, count, init } = arg;
  const size = bytesPerElement[dtype];
  if (init.kind === "uninit") return undefined;
  if (init.kind === "file") return readElements(init.path, count * size);
  const bytes = new Uint8Array(count * size);
  const view = new DataView(bytes.buffer);
  if (init.kind === "random") {
    fillRandom(arg, view, randomWords(seed, position));
  } else if (init.kind !== "zeros") {
    for (let i = 0; i < count; i++) writeElement(dtype, view, i, init.kind === "ones" ? 1 : i);
  }
  return bytes;
}

function fillRandom(
  { dtype, count }: Extract<KernelRunArg, { kind: "buffer" }>,
  view: DataView,
  next: () => number,
): void {
  const isFloat = INTEGER_RANGES[dtype] === undefined;
  for (let i = 0; i < count; i++) {
    if (isFloat) {
      // 24 bits: exact in f32, so that f32 and f64 get the same values.
      writeElement(dtype, view, i, (next() >>> 8) / 2 ** 23 - 1);
    } else if (dtype === "i64") {
      view.setUint32(8 * i, next(), true);
      view.setUint32(8 * i + 4, next(), true);
    } else {
      writeElement(dtype, view, i, next());
    }
  }
}

/** 32-bit words of a counter hashed with the seed (the finaliser of MurmurHash3). */
function randomWords(seed: number, position: number): () => number {
  let counter = Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(position + 1, 0x85ebca6b);
  return () => {
    counter = (counter + 0x6d2b79f5) | 0;
    let word = counter;
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    return (word ^ (word >>> 16)) >>> 0;
  };
}

function readElements(path: string, bytes: number): Uint8Array {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    throw new HydrantError("kernel/argument-file", "The file of an argument cannot be read.", {
      path,
      hint: "Check the path after @.",
      cause: error,
    });
  }
  if (content.length === bytes) return content;
  throw new HydrantError(
    "kernel/argument-file",
    `The file has ${content.length} bytes, the buffer ${bytes}.`,
    { path, hint: "COUNT times the size of DTYPE must be the size of the file." },
  );
}

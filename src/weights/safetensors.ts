import { HydrantError } from "../util/errors.ts";
import { JsonScanner, JsonSyntaxError } from "./json-scanner.ts";
import { impostor, RandomAccessFile } from "./random-access-file.ts";
import { elementCount, isStoredDType, type StoredDType, storedSize } from "./stored-dtype.ts";
import { checkedInfo, shorten, type TensorFile, type TensorInfo } from "./tensor-file.ts";

/** Longest header the format allows, in bytes. */
export const maxHeaderBytes = 100_000_000;

export interface SafetensorsFile extends TensorFile {
  /** The header's free-form `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
}

interface Placed {
  readonly info: TensorInfo;
  /** First byte, from the start of the data area. */
  readonly begin: number;
}

export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, Placed>;
}

/**
 * Opens a safetensors file and checks its whole header: sizes, dtypes, no repeated names, and a
 * data area that the tensors cover exactly, without gap, overlap or rest.
 *
 * @throws HydrantError `safetensors/*`, with the file and, where one is at fault, the tensor as path;
 *   `checkpoint/not-found`, `checkpoint/unreadable`
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await RandomAccessFile.open(path);
  try {
    const start = await file.slice(0, 64);
    if (start.length < 8)
      throw fail(
        "truncated",
        `The file has ${start.length} bytes, fewer than its 8-byte prefix.`,
        path,
      );
    const mistaken = impostor(start);
    if (mistaken !== undefined) throw fail("not-safetensors", mistaken, path);
    const length = new DataView(start.buffer).getBigUint64(0, true);
    if (length > maxHeaderBytes) {
      throw fail(
        "header-too-long",
        `The header claims ${length} bytes; the format allows ${maxHeaderBytes}.`,
        path,
      );
    }
    const dataStart = 8 + Number(length);
    if (dataStart > file.size) {
      throw fail(
        "truncated",
        `The header claims ${length} bytes, but the file has ${file.size}.`,
        path,
      );
    }
    const header = parseHeader(await file.slice(8, Number(length)), file.size - dataStart, path);
    return new OpenSafetensors(file, header, dataStart);
  } catch (error) {
    await file.close();
    throw error;
  }
}

class OpenSafetensors implements SafetensorsFile {
  readonly file: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #file: RandomAccessFile;
  readonly #header: SafetensorsHeader;
  readonly #dataStart: number;

  constructor(file: RandomAccessFile, header: SafetensorsHeader, dataStart: number) {
    this.file = file.path;
    this.tensors = new Map([...header.tensors].map(([name, placed]) => [name, placed.info]));
    this.metadata = header.metadata;
    this.#file = file;
    this.#header = header;
    this.#dataStart = dataStart;
  }

  async read(name: string, into: Uint8Array, offset = 0): Promise<void> {
    checkedInfo(this, name, into, offset);
    const begin = this.#header.tensors.get(name)?.begin ?? 0;
    await this.#file.read(into, this.#dataStart + begin + offset);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/**
 * Checks and reads a safetensors header.
 *
 * @param bytes the header's JSON text; @param dataBytes size of the data area behind it
 * @throws HydrantError `safetensors/*`
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, file: string): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fail("bad-header", "The header is not valid UTF-8.", file);
  }
  const scanner = new JsonScanner(text);
  const tensors = new Map<string, Placed>();
  let metadata: Map<string, string> | undefined;
  /** The entry being read. */
  let current: string | undefined;
  try {
    scanner.object((name) => {
      current = name;
      if (name === "__metadata__") {
        if (metadata !== undefined)
          throw fail("duplicate-name", "The header has __metadata__ twice.", file);
        metadata = readMetadata(scanner);
      } else {
        if (tensors.has(name))
          throw fail("duplicate-name", "The header names this tensor twice.", file, name);
        tensors.set(name, readEntry(scanner, name, file));
      }
      current = undefined;
    });
    scanner.end();
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw fail(
      "bad-header",
      `The header is not valid: ${error.message} at character ${error.offset}.`,
      file,
      current,
    );
  }
  checkLayout([...tensors.values()], dataBytes, file);
  return { metadata: metadata ?? new Map(), tensors };
}

function readMetadata(scanner: JsonScanner): Map<string, string> {
  const metadata = new Map<string, string>();
  scanner.object((key) => metadata.set(key, scanner.string()));
  return metadata;
}

function readEntry(scanner: JsonScanner, name: string, file: string): Placed {
  let dtypeName: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const once = (field: string, seen: unknown): void => {
    if (seen !== undefined)
      throw fail("duplicate-name", `Field ${field} appears twice.`, file, name);
  };
  scanner.object((field) => {
    switch (field) {
      case "dtype":
        once(field, dtypeName);
        dtypeName = scanner.string();
        break;
      case "shape":
        once(field, shape);
        shape = unsignedList(scanner);
        break;
      case "data_offsets":
        once(field, offsets);
        offsets = unsignedList(scanner);
        break;
      default:
        scanner.skip();
    }
  });
  if (dtypeName === undefined || shape === undefined || offsets === undefined) {
    const missing =
      dtypeName === undefined ? "dtype" : shape === undefined ? "shape" : "data_offsets";
    throw fail("missing-field", `Field ${missing} is missing.`, file, name);
  }
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || offsets.length !== 2 || end < begin) {
    throw fail(
      "bad-offsets",
      "data_offsets must be two numbers, begin and end, in ascending order.",
      file,
      name,
    );
  }
  const dtype = parseDType(dtypeName, file, name);
  const byteLength = (elementCount(shape) ?? Number.POSITIVE_INFINITY) * storedSize(dtype);
  if (byteLength !== end - begin) {
    throw fail(
      "size-mismatch",
      `Shape [${shape.slice(0, 8).join(", ")}] of ${dtype} needs ${byteLength} bytes, but ${end - begin} are given.`,
      file,
      name,
    );
  }
  return { info: { name, dtype, shape, byteLength, file }, begin };
}

function unsignedList(scanner: JsonScanner): number[] {
  const values: number[] = [];
  scanner.list(() => values.push(scanner.unsigned()));
  return values;
}

function parseDType(text: string, file: string, name: string): StoredDType {
  const dtype = text.toLowerCase();
  if (text === text.toUpperCase() && isStoredDType(dtype)) return dtype;
  throw fail("unknown-dtype", `Data type ${shorten(text)} is not known.`, file, name);
}

function checkLayout(tensors: Placed[], dataBytes: number, file: string): void {
  const end = (placed: Placed): number => placed.begin + placed.info.byteLength;
  tensors.sort((a, b) => a.begin - b.begin || end(a) - end(b));
  let expected = 0;
  for (const placed of tensors) {
    if (placed.begin !== expected) {
      const what = placed.begin > expected ? "leaves a gap before it" : "overlaps another tensor";
      throw fail(
        "bad-offsets",
        `It starts at byte ${placed.begin}, not ${expected}: it ${what}.`,
        file,
        placed.info.name,
      );
    }
    expected = end(placed);
  }
  if (expected > dataBytes) {
    throw fail(
      "truncated",
      `The tensors need ${expected} data bytes, but the file has ${dataBytes}.`,
      file,
    );
  }
  if (expected < dataBytes) {
    throw fail(
      "trailing-data",
      `The file has ${dataBytes - expected} bytes behind its last tensor.`,
      file,
    );
  }
}

function fail(code: string, message: string, file: string, tensor?: string): HydrantError {
  return new HydrantError(`safetensors/${code}`, message, {
    path: tensor === undefined ? file : `${file}: ${shorten(tensor)}`,
    ...(code === "truncated" ? { hint: "Fetch or copy the file again." } : {}),
  });
}

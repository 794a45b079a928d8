import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { HydrantError } from "../util/errors.ts";
import { JsonFields } from "../util/json-fields.ts";

/** A file's bytes, or `undefined` when it does not exist. @throws HydrantError `file/unreadable`. */
export async function readOptionalFile(path: string): Promise<Uint8Array | undefined> {
  try {
    // A copy: a small Buffer shares its memory with others, which byte-offset readers trip over.
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new HydrantError("file/unreadable", `The file cannot be read (${code ?? cause}).`, {
      path,
      cause,
    });
  }
}

/** A UTF-8 text file, or `undefined` when it does not exist. */
export async function readOptionalText(path: string): Promise<string | undefined> {
  const bytes = await readOptionalFile(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/**
 * The object in `dir/name`, or `undefined` when there is no such file.
 * @throws HydrantError `file/bad-json` when it is not JSON, `config/bad-field` when it is no object.
 */
export async function readOptionalJson(dir: string, name: string): Promise<JsonFields | undefined> {
  const path = join(dir, name);
  const text = await readOptionalText(path);
  return text === undefined ? undefined : parseJsonObject(text, path);
}

/** @throws HydrantError `file/bad-json`, `config/bad-field`. */
export function parseJsonObject(text: string, path: string): JsonFields {
  return new JsonFields(parseJson(text, path), path);
}

export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HydrantError("file/bad-json", `The file is not valid JSON: ${messageOf(cause)}.`, {
      path,
      hint: "Download it again; it may be cut short or a Git LFS pointer.",
      cause,
    });
  }
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

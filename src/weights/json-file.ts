import { stat, readFile } from "node:fs/promises";
import { HydrantError } from "../util/errors.ts";
import { cannotRead } from "./random-access-file.ts";

/** Beyond any index or configuration file; keeps a wrong path from filling memory. */
const maxBytes = 64 * 1024 * 1024;

/**
 * Reads a JSON file of at most 64 MiB.
 *
 * @throws HydrantError `checkpoint/not-found`, `checkpoint/unreadable`, `config/bad-json`
 */
export async function readJsonFile(path: string): Promise<unknown> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new HydrantError(
        "config/bad-json",
        `The file has ${size} bytes; at most ${maxBytes} are read.`,
        { path },
      );
    }
    text = await readFile(path, "utf8");
  } catch (error) {
    throw error instanceof HydrantError ? error : cannotRead(path, error);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HydrantError("config/bad-json", "The file is not valid JSON.", { path, cause });
  }
}

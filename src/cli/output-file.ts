import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { HydrantError } from "../index.ts";

/** A file that long work will fill: opened before it, so that a bad path is told at once. */
export class OutputFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #isNew: boolean;

  private constructor(path: string, handle: FileHandle, isNew: boolean) {
    this.#path = path;
    this.#handle = handle;
    this.#isNew = isNew;
  }

  /** What is in the file stays until `write`. @throws HydrantError `cli/output-file`. */
  static async open(path: string): Promise<OutputFile> {
    const isNew = await stat(path).then(
      () => false,
      () => true,
    );
    try {
      return new OutputFile(path, await open(path, "a"), isNew);
    } catch (error) {
      throw new HydrantError("cli/output-file", "The file cannot be written.", {
        path,
        hint: "Name a file in a folder that exists and may be written to.",
        cause: error,
      });
    }
  }

  /** Puts `text` in place of what the file held, and closes it. */
  async write(text: string): Promise<void> {
    await this.#handle.truncate(0);
    await this.#handle.writeFile(text);
    await this.#handle.close();
  }

  /** Closes the file as it was found; does nothing after `write`. */
  async discard(): Promise<void> {
    if (this.#handle.fd < 0) return;
    await this.#handle.close();
    if (this.#isNew) await rm(this.#path, { force: true });
  }
}

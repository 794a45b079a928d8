import { makeDirectory } from "../../src/util/make-directory.ts";
/**
 * Compiled kernels on disk. An entry is one file named by the hash of all that decides its content;
 * it is written beside its place and renamed into it, so that a reader, or a second process
 * compiling the same kernel, sees all of it or nothing. Anything unreadable counts as a miss.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cacheDirectory } from "../../src/util/cache-directory.ts";

const MAGIC = "hydrant-kernel-1";
const DEFAULT_MAX_BYTES = 256 * 2 ** 20;

export class KernelCache {
  readonly directory: string;
  /** Why nothing can be stored, once a write has failed; undefined while all is well. */
  problem: string | undefined;
  readonly #maxBytes: number;

  constructor(options: { readonly directory?: string; readonly maxBytes?: number } = {}) {
    this.directory = options.directory ?? join(cacheDirectory(), "kernels");
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  }

  /** The key of an entry: order matters, and no two lists of parts give one key. */
  static key(parts: readonly string[]): string {
    const hash = createHash("sha256");
    for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
    return hash.digest("hex");
  }

  /** The value stored under `key`, or undefined. */
  get(key: string): unknown {
    const path = this.#path(key);
    try {
      const text = readFileSync(path, "utf8");
      const [magic, digest] = text.split("\n", 2);
      const body = text.slice(`${magic}\n${digest}\n`.length);
      if (magic !== MAGIC || digest !== digestOf(body)) {
        rmSync(path, { force: true });
        return undefined;
      }
      touch(path);
      return JSON.parse(body);
    } catch {
      return undefined;
    }
  }

  /** Stores JSON `value`. A refused write is routine: it is noted in `problem`, never thrown. */
  set(key: string, value: unknown): void {
    const path = this.#path(key);
    const part = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.part`;
    try {
      const body = JSON.stringify(value);
      makeDirectory(this.directory);
      writeFileSync(part, `${MAGIC}\n${digestOf(body)}\n${body}`);
      renameSync(part, path);
      this.problem = undefined;
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      try {
        rmSync(part, { force: true });
      } catch {
        // The folder itself is out of reach; there is nothing of ours in it.
      }
      return;
    }
    this.#evict();
  }

  #path(key: string): string {
    return join(this.directory, `${key}.json`);
  }

  /** Drops the entries unused for longest once the folder is over its bound. */
  #evict(): void {
    const files: { path: string; bytes: number; used: number }[] = [];
    for (const name of readdirSync(this.directory)) {
      const path = join(this.directory, name);
      try {
        const { size, mtimeMs } = statSync(path);
        files.push({ path, bytes: size, used: mtimeMs });
      } catch {
        // Another process dropped it first.
      }
    }
    let total = files.reduce((sum, file) => sum + file.bytes, 0);
    if (total <= this.#maxBytes) return;
    files.sort((a, b) => a.used - b.used);
    for (const file of files) {
      // Well below the bound, so that the next writes do not come here again at once.
      if (total <= this.#maxBytes * 0.8) break;
      rmSync(file.path, { force: true });
      total -= file.bytes;
    }
  }
}

const digestOf = (body: string): string => createHash("sha256").update(body).digest("hex");

function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // A read-only cache still serves; its entries just do not age.
  }
}

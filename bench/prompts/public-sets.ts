import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheDirectory } from "../../src/util/cache-directory.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { parseQuestions } from "./questions.ts";

/** Prompt files with a public home. */
export const publicSets = {
  "mt-bench":
    "https://raw.githubusercontent.com/lm-sys/FastChat/main/fastchat/llm_judge/data/mt_bench/question.jsonl",
  "spec-bench":
    "https://raw.githubusercontent.com/hemingkyx/Spec-Bench/main/data/spec_bench/question.jsonl",
} as const;
export type PublicSet = keyof typeof publicSets;

export function isPublicSet(name: string): name is PublicSet {
  return Object.hasOwn(publicSets, name);
}

export interface DownloadOptions {
  /** Default: the set's public address. */
  readonly url?: string;
  /** Default: `prompts` in the cache folder. */
  readonly folder?: string;
  /** Bytes so far, and of how many where the server says. */
  readonly progress?: (done: number, total: number | undefined) => void;
}

/** Question files are some hundred kilobytes; more than this is something else. */
const mostBytes = 64e6;
/** Without a byte for this long the connection counts as dead. */
const stalledMs = 60_000;

/**
 * The set's file in the cache, downloaded when it is not there. It appears under its name only once
 * it is whole and readable as questions.
 * @throws HydrantError `prompts/download`; what `parseQuestions` throws
 */
export async function downloadSet(name: PublicSet, options: DownloadOptions = {}): Promise<string> {
  const { url = publicSets[name], folder = join(cacheDirectory(), "prompts") } = options;
  const file = join(folder, `${name}.jsonl`);
  if (existsSync(file)) return file;
  const text = await fetchText(url, options.progress ?? (() => {}));
  parseQuestions(text, url);
  const partial = `${file}.${randomUUID()}`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(partial, text);
    await rename(partial, file);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {});
    throw new HydrantError(
      "prompts/download",
      `The download cannot be stored (${String(cause)}).`,
      {
        path: file,
        hint: "Check free space and permissions; HYDRANT_CACHE_DIR moves the cache elsewhere.",
        cause,
      },
    );
  }
  return file;
}

async function fetchText(
  url: string,
  progress: NonNullable<DownloadOptions["progress"]>,
): Promise<string> {
  const abort = new AbortController();
  const restart = () => setTimeout(() => abort.abort(new Error("no data for a minute")), stalledMs);
  let watchdog = restart();
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    const total = Number.isFinite(length) ? length : undefined;
    const chunks: Uint8Array[] = [];
    let done = 0;
    for await (const chunk of response.body) {
      clearTimeout(watchdog);
      watchdog = restart();
      done += chunk.length;
      if (done > mostBytes) throw new Error("it is far larger than a file of questions");
      chunks.push(chunk);
      progress(done, total);
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const reason = inner instanceof Error ? inner.message : String(inner);
    throw new HydrantError("prompts/download", `The questions cannot be downloaded (${reason}).`, {
      path: url,
      hint: "Check the network, or fetch the file by other means and give it with --prompts.",
      cause,
    });
  } finally {
    clearTimeout(watchdog);
    abort.abort();
  }
}

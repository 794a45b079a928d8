import {
  access,
  copyFile,
  mkdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { parseShardIndex } from "./checkpoint.ts";
import { readJsonFile } from "./json-file.ts";

/** Variables of the environment, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A repository on the hub at a branch, tag or commit. */
export interface HubRepo {
  /** `org/name`. */
  readonly id: string;
  readonly revision: string;
}

/** What is wanted of a repository: a base model, or draft heads. */
export type HubPurpose = "model" | "heads";

const folderName = /^\w[\w.-]*$/;
const idPattern = /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?:@([\w][\w./-]*))?$/;

/** Reads `org/name` or `org/name@revision`; `undefined` for anything else. */
export function parseHubId(text: string): HubRepo | undefined {
  const [, id, revision = "main"] = idPattern.exec(text) ?? [];
  if (
    id === undefined ||
    id.includes("..") ||
    id.includes("--") ||
    revision.split("/").includes("..")
  )
    return undefined;
  return { id, revision };
}

/** The Hugging Face cache directory, found as their own tools find it. */
export function hubCacheDir(env: Environment): string {
  const set = (name: string): string | undefined => env[name] || undefined;
  const home =
    set("HF_HOME") ?? join(set("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface");
  return set("HF_HUB_CACHE") ?? set("HUGGINGFACE_HUB_CACHE") ?? join(home, "hub");
}

/**
 * One repository in the cache: `blobs/<hash>` hold the contents, `snapshots/<commit>/<path>` link
 * to them, `refs/<branch>` hold commits. Other tools share these files.
 */
export class CachedRepo {
  readonly directory: string;

  constructor(cacheDir: string, id: string) {
    this.directory = join(cacheDir, `models--${id.replace("/", "--")}`);
  }

  snapshot(commit: string): string {
    return join(this.directory, "snapshots", commit);
  }

  blob(hash: string): string {
    return join(this.directory, "blobs", hash);
  }

  /** Directory of a revision that has all that is wanted, or `undefined`. */
  async find(revision: string, purpose: HubPurpose): Promise<string | undefined> {
    const commit = await this.#commitOf(revision);
    if (commit === undefined) return undefined;
    const directory = this.snapshot(commit);
    return (await isComplete(directory, purpose)) ? directory : undefined;
  }

  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    const path = join(this.directory, "refs", revision);
    const partial = `${path}.${randomUUID()}`;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(partial, commit);
    await rename(partial, path);
  }

  /** Makes `name` appear in a snapshot, as a relative link where the system allows one. */
  async link(commit: string, name: string, hash: string): Promise<void> {
    const pointer = join(this.snapshot(commit), name);
    if (await present(pointer)) return;
    await mkdir(dirname(pointer), { recursive: true });
    await rm(pointer, { force: true });
    try {
      await symlink(relative(dirname(pointer), this.blob(hash)), pointer);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") return;
      // Windows grants links to administrators only.
      await copyFile(this.blob(hash), pointer);
    }
  }

  async #commitOf(revision: string): Promise<string | undefined> {
    // A commit names its snapshot; whatever made the cache, the name must not lead out of it.
    if (folderName.test(revision) && (await present(this.snapshot(revision)))) return revision;
    try {
      const commit = (await readFile(join(this.directory, "refs", revision), "utf8")).trim();
      return folderName.test(commit) ? commit : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Whether config and weights are there; a download that was interrupted leaves gaps. */
async function isComplete(directory: string, purpose: HubPurpose): Promise<boolean> {
  const has = (name: string): Promise<boolean> => present(join(directory, name));
  if (!(await has("config.json"))) return false;
  if (purpose === "heads") {
    for (const heads of ["hydra_lm_head", "medusa_lm_head"]) {
      if ((await has(`${heads}.safetensors`)) || (await has(`${heads}.pt`))) return true;
    }
  }
  for (const single of ["model.safetensors", "pytorch_model.bin"]) {
    const index = join(directory, `${single}.index.json`);
    if (await has(single)) return true;
    if (!(await present(index))) continue;
    const shards = new Set(parseShardIndex(await readJsonFile(index), index).values());
    const found = await Promise.all([...shards].map(has));
    if (!found.includes(false)) return true;
  }
  return false;
}

export async function present(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

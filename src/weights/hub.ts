import { stat } from "node:fs/promises";
import { join } from "node:path";
import { HubApiError, listFiles, modelInfo } from "@huggingface/hub";
import { HydrantError } from "../util/errors.ts";
import { isPlainName, parseShardIndex } from "./checkpoint.ts";
import {
  CachedRepo,
  type Environment,
  type HubPurpose,
  type HubRepo,
  hubCacheDir,
  parseHubId,
} from "./hub-cache.ts";
import { downloadTo, type RemoteFile, statusError } from "./hub-download.ts";
import { readJsonFile } from "./json-file.ts";

/** How far the download of one file has come. */
export interface HubProgress {
  /** Its path in the repository. */
  readonly file: string;
  /** Bytes that have arrived. */
  readonly done: number;
  readonly total: number;
}

export interface ResolveOptions {
  /** Default `process.env`: HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE are read. */
  readonly env?: Environment;
  /** Called as a file arrives, at most once per network chunk. */
  readonly progress?: (event: HubProgress) => void;
  /** Attempts without any new byte before a download gives up; default 5. */
  readonly attempts?: number;
  /** Ends a download with the signal's reason; what has arrived is kept. */
  readonly signal?: AbortSignal | undefined;
}

/** Configuration and tokenizer files worth having beside the weights. */
const sideFile = /^[^/]+\.(json|jinja)$|^(tokenizer\.model|merges\.txt|vocab\.txt)$/;

/**
 * Turns what a user names into a local path: an existing file or directory as it is, otherwise
 * `org/name` or `org/name@revision` on the Hugging Face hub, from the local cache or by download
 * into it. Only what is needed is fetched: configuration, tokenizer, and one form of the weights,
 * safetensors where there are any.
 *
 * @throws HydrantError `hub/bad-name`, `hub/offline`, `hub/unreachable`, `hub/not-found`,
 *   `hub/unauthorized`, `hub/gated`, `hub/no-weights`, `hub/wrong-size`, `hub/wrong-hash`,
 *   `hub/interrupted`, `hub/unwritable`
 */
export async function resolveModelPath(
  name: string,
  purpose: HubPurpose,
  options: ResolveOptions = {},
): Promise<string> {
  if (await isLocal(name)) return name;
  const repo = parseHubId(name);
  if (repo === undefined) {
    throw new HydrantError(
      "hub/bad-name",
      "There is no such file or directory, and it is no hub name either.",
      {
        path: name,
        hint: "Name a local path, or a repository as org/name.",
      },
    );
  }
  const env = options.env ?? process.env;
  const cache = new CachedRepo(hubCacheDir(env), repo.id);
  const cached = await cache.find(repo.revision, purpose);
  if (cached !== undefined) return cached;
  if (/^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? "")) {
    throw new HydrantError(
      "hub/offline",
      "It is not in the local cache, and HF_HUB_OFFLINE forbids a download.",
      {
        path: name,
        hint: "Unset HF_HUB_OFFLINE, or name a local directory.",
      },
    );
  }
  return new HubDownload(repo, cache, env, options).run(purpose);
}

/** One repository's download: lists it once at a fixed commit, then fetches file by file. */
class HubDownload {
  readonly #repo: HubRepo;
  readonly #cache: CachedRepo;
  readonly #endpoint: string;
  readonly #token: string | undefined;
  readonly #options: ResolveOptions;
  #errorCode: string | null = null;

  constructor(repo: HubRepo, cache: CachedRepo, env: Environment, options: ResolveOptions) {
    this.#repo = repo;
    this.#cache = cache;
    this.#endpoint = (env.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");
    this.#token = env.HF_TOKEN || undefined;
    this.#options = options;
  }

  async run(purpose: HubPurpose): Promise<string> {
    const { commit, files } = await this.#list();
    for (const [name, file] of files) {
      if (sideFile.test(name)) await this.#fetch(commit, file);
    }
    const directory = this.#cache.snapshot(commit);
    for (const name of await weightNames(purpose, files, directory)) {
      const file = files.get(name);
      if (file === undefined) {
        throw new HydrantError(
          "hub/no-weights",
          `The repository's index names ${name}, which it does not hold.`,
          {
            path: this.#repo.id,
          },
        );
      }
      await this.#fetch(commit, file);
    }
    await this.#cache.writeRef(this.#repo.revision, commit);
    return directory;
  }

  /** The commit the revision stands at now, and the files of its top directory. */
  async #list(): Promise<{ commit: string; files: Map<string, RemoteFile> }> {
    const common = {
      hubUrl: this.#endpoint,
      fetch: this.#fetchApi,
      ...(this.#token ? { accessToken: this.#token } : {}),
    };
    try {
      const { id: name, revision } = this.#repo;
      const { sha: commit } = await modelInfo({
        ...common,
        name,
        revision,
        additionalFields: ["sha"],
      });
      if (!/^[0-9a-f]{40}$/.test(commit)) throw new Error("an answer without a commit");
      const files = new Map<string, RemoteFile>();
      for await (const entry of listFiles({ ...common, repo: name, revision: commit })) {
        const hash = hashOf(entry);
        if (entry.type !== "file" || hash === undefined || !isPlainName(entry.path)) continue;
        const url = `${this.#endpoint}/${name}/resolve/${commit}/${encodeURIComponent(entry.path)}`;
        files.set(entry.path, { name: entry.path, url, size: entry.lfs?.size ?? entry.size, hash });
      }
      return { commit, files };
    } catch (error) {
      throw this.#describe(error);
    }
  }

  async #fetch(commit: string, file: RemoteFile): Promise<void> {
    const blob = this.#cache.blob(file.hash.hex);
    await downloadTo(blob, file, {
      fetch,
      headers: this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` },
      attempts: this.#options.attempts ?? 5,
      signal: this.#options.signal,
      progress: (done) => this.#options.progress?.({ file: file.name, done, total: file.size }),
    });
    await this.#cache.link(commit, file.name, file.hash.hex);
  }

  /** The hub's client drops the header that tells a gated repository from a missing one. */
  readonly #fetchApi: typeof fetch = async (input, init) => {
    const { signal } = this.#options;
    const response = await fetch(input, { ...init, ...(signal && { signal }) });
    this.#errorCode = response.headers.get("x-error-code");
    return response;
  };

  #describe(error: unknown): HydrantError {
    this.#options.signal?.throwIfAborted();
    if (error instanceof HydrantError) return error;
    const page = `${this.#endpoint}/${this.#repo.id}`;
    if (error instanceof HubApiError) return statusError(error.statusCode, page, this.#errorCode);
    const reason =
      error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    return new HydrantError(
      "hub/unreachable",
      `The hub cannot be asked (${reason}), and the cache lacks the model.`,
      {
        path: page,
        hint: "Check the network, HF_ENDPOINT and HF_TOKEN, or name a local directory.",
        cause: error,
      },
    );
  }
}

function hashOf(entry: { oid?: string; lfs?: { oid: string } }): RemoteFile["hash"] | undefined {
  if (entry.lfs !== undefined) {
    return /^[0-9a-f]{64}$/.test(entry.lfs.oid)
      ? { kind: "sha256", hex: entry.lfs.oid }
      : undefined;
  }
  return entry.oid !== undefined && /^[0-9a-f]{40}$/.test(entry.oid)
    ? { kind: "git-sha1", hex: entry.oid }
    : undefined;
}

/** The weight files to fetch; an index, already there as a side file, names its shards. */
async function weightNames(
  purpose: HubPurpose,
  files: ReadonlyMap<string, RemoteFile>,
  directory: string,
): Promise<string[]> {
  if (purpose === "heads") {
    for (const stem of ["hydra_lm_head", "medusa_lm_head"]) {
      const name = [`${stem}.safetensors`, `${stem}.pt`].find((known) => files.has(known));
      if (name !== undefined) return [name];
    }
  }
  for (const single of ["model.safetensors", "pytorch_model.bin"]) {
    if (files.has(single)) return [single];
    const index = join(directory, `${single}.index.json`);
    if (!files.has(`${single}.index.json`)) continue;
    return [...new Set(parseShardIndex(await readJsonFile(index), index).values())].sort();
  }
  throw new HydrantError(
    "hub/no-weights",
    "The repository holds no weights in a form that can be read.",
    {
      path: directory,
      hint:
        purpose === "heads"
          ? "Expected hydra_lm_head or medusa_lm_head."
          : "Expected safetensors or torch weights.",
    },
  );
}

async function isLocal(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

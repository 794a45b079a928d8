import { access, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { HydrantError } from "../util/errors.ts";
import { JsonFields } from "../util/json-fields.ts";
import { readJsonFile } from "./json-file.ts";
import { cannotRead } from "./random-access-file.ts";
import { openSafetensors } from "./safetensors.ts";
import { checkedInfo, shorten, type TensorFile, type TensorInfo } from "./tensor-file.ts";
import { openTorchCheckpoint } from "./torch-checkpoint.ts";

/** What a model directory may keep its weights in, the first found being used. */
const weightFiles = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
] as const;

/**
 * Opens the weights of a model as one set of tensors: a directory in the Hugging Face layout
 * (single file or index and shards, safetensors before torch), or one weight file.
 *
 * @throws HydrantError `checkpoint/no-weights`, `checkpoint/missing-shard`,
 *   `checkpoint/missing-tensor`, `checkpoint/bad-index`, and what the file formats throw
 */
export async function openCheckpoint(path: string): Promise<TensorFile> {
  if (!(await isDirectory(path))) return openWeightFile(path);
  for (const name of weightFiles) {
    const file = join(path, name);
    if (!(await exists(file))) continue;
    return name.endsWith(".json") ? openSharded(path, file) : openWeightFile(file);
  }
  throw new HydrantError("checkpoint/no-weights", "The directory holds no model weights.", {
    path,
    hint: `Expected one of ${weightFiles.join(", ")}.`,
  });
}

/** Opens one weight file, by its name's ending; files without a known one count as torch's. */
export function openWeightFile(path: string): Promise<TensorFile> {
  return path.endsWith(".safetensors") ? openSafetensors(path) : openTorchCheckpoint(path);
}

/**
 * Reads a shard index: tensor name → file name. File names are plain, so nothing outside the
 * index's own directory can be reached.
 *
 * @throws HydrantError `checkpoint/bad-index`
 */
export function parseShardIndex(json: unknown, file: string): Map<string, string> {
  const map = new JsonFields(json, file).optionalObject("weight_map");
  if (map === undefined) throw badIndex("The index has no weight_map.", file);
  const shards = new Map<string, string>();
  for (const name of map.names()) {
    const shard = map.raw(name);
    if (typeof shard !== "string" || !isPlainName(shard)) {
      const shown = typeof shard === "string" ? JSON.stringify(shorten(shard)) : "no text";
      throw badIndex(
        `It is mapped to ${shown}, which is no plain file name.`,
        `${file}: ${shorten(name)}`,
      );
    }
    shards.set(name, shard);
  }
  if (shards.size === 0) throw badIndex("The index maps no tensors.", file);
  return shards;
}

async function openSharded(directory: string, indexFile: string): Promise<TensorFile> {
  const index = parseShardIndex(await readJsonFile(indexFile), indexFile);
  const names = [...new Set(index.values())].sort();
  const absent: string[] = [];
  for (const name of names) {
    if (!(await exists(join(directory, name)))) absent.push(name);
  }
  if (absent.length > 0) {
    const shown = absent.slice(0, 5).map(shorten).join(", ");
    throw new HydrantError(
      "checkpoint/missing-shard",
      `${absent.length} of ${names.length} weight files are missing: ${shown}${absent.length > 5 ? ", ..." : ""}.`,
      { path: directory, hint: "Download the model again; an interrupted download continues." },
    );
  }
  const files = new Map<string, TensorFile>();
  try {
    for (const name of names) files.set(name, await openWeightFile(join(directory, name)));
    return new ShardedCheckpoint(directory, index, files);
  } catch (error) {
    for (const file of files.values()) await file.close();
    throw error;
  }
}

class ShardedCheckpoint implements TensorFile {
  readonly file: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #index: ReadonlyMap<string, string>;
  readonly #files: ReadonlyMap<string, TensorFile>;

  constructor(
    directory: string,
    index: ReadonlyMap<string, string>,
    files: ReadonlyMap<string, TensorFile>,
  ) {
    this.file = directory;
    this.#index = index;
    this.#files = files;
    const tensors = new Map<string, TensorInfo>();
    for (const [name, shard] of index) {
      const info = files.get(shard)?.tensors.get(name);
      if (info === undefined) {
        throw new HydrantError(
          "checkpoint/missing-tensor",
          "The index places this tensor in a file that lacks it.",
          {
            path: `${join(directory, shard)}: ${shorten(name)}`,
          },
        );
      }
      tensors.set(name, info);
    }
    this.tensors = tensors;
  }

  async read(name: string, into: Uint8Array, offset = 0): Promise<void> {
    checkedInfo(this, name, into, offset);
    await this.#files.get(this.#index.get(name) ?? "")?.read(name, into, offset);
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
  }
}

/** Draft heads on disk: their weights and the settings beside them. */
export interface HeadsCheckpoint {
  readonly kind: "hydra" | "medusa";
  /** Tensors named as in the heads' own state dict, without a `medusa_head.` prefix. */
  readonly weights: TensorFile;
  /** Parsed config.json, for `parseHeadsConfig`. */
  readonly config: unknown;
  readonly configFile: string;
}

const headFiles = [
  "hydra_lm_head.safetensors",
  "hydra_lm_head.pt",
  "medusa_lm_head.safetensors",
  "medusa_lm_head.pt",
] as const;

/**
 * Opens draft heads: a directory with `hydra_lm_head` or `medusa_lm_head` (safetensors before
 * torch) beside config.json, the weight file itself, or a full model that carries Medusa heads.
 *
 * @throws HydrantError `checkpoint/no-heads`, `checkpoint/ambiguous-heads`, `config/bad-json`, and
 *   what opening the weights throws
 */
export async function openHeads(path: string): Promise<HeadsCheckpoint> {
  const directory = (await isDirectory(path)) ? path : dirname(path);
  const configFile = join(directory, "config.json");
  const config = await readJsonFile(configFile);
  const file = directory === path ? await findHeadFile(path) : path;
  const opened = await (file === undefined ? openCheckpoint(directory) : openWeightFile(file));
  try {
    const weights = withoutPrefix(opened, file === undefined);
    const kind = kindOf(weights, file === undefined ? "" : basename(file));
    if (kind === undefined) {
      throw new HydrantError(
        "checkpoint/no-heads",
        "The weights hold neither Hydra nor Medusa heads.",
        {
          path: opened.file,
          hint: `Expected a directory with one of ${headFiles.join(", ")}.`,
        },
      );
    }
    return { kind, weights, config, configFile };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function findHeadFile(directory: string): Promise<string | undefined> {
  const found: string[] = [];
  for (const name of headFiles) {
    if (await exists(join(directory, name))) found.push(name);
  }
  const [first, last] = [found[0], found.at(-1)];
  if (first !== undefined && last !== undefined && first.slice(0, 5) !== last.slice(0, 5)) {
    throw new HydrantError(
      "checkpoint/ambiguous-heads",
      "The directory holds both Hydra and Medusa heads.",
      {
        path: directory,
        hint: "Name the weight file itself.",
      },
    );
  }
  return first === undefined ? undefined : join(directory, first);
}

function kindOf(weights: TensorFile, fileName: string): HeadsCheckpoint["kind"] | undefined {
  if (fileName.startsWith("hydra")) return "hydra";
  if (fileName.startsWith("medusa")) return "medusa";
  const names = [...weights.tensors.keys()];
  if (names.some((name) => /^(hydra_mlp|hydra_lm_head|attn|cross_attn)\./.test(name)))
    return "hydra";
  return names.some((name) => /^\d+\.\d+\./.test(name)) ? "medusa" : undefined;
}

/** Heads saved as part of a model carry the module's name; a full model also carries the base. */
function withoutPrefix(file: TensorFile, isFullModel: boolean): TensorFile {
  const prefix = ["medusa_head.", "hydra_head."].find((known) =>
    [...file.tensors.keys()].some((name) => name.startsWith(known)),
  );
  if (prefix === undefined && !isFullModel) return file;
  const stored = new Map<string, string>();
  for (const name of file.tensors.keys()) {
    if (prefix !== undefined && name.startsWith(prefix))
      stored.set(name.slice(prefix.length), name);
  }
  const tensors = new Map<string, TensorInfo>();
  for (const [name, storedName] of stored) {
    const info = file.tensors.get(storedName);
    if (info !== undefined) tensors.set(name, { ...info, name });
  }
  return {
    file: file.file,
    tensors,
    read: (name, into, offset) => file.read(stored.get(name) ?? name, into, offset),
    close: () => file.close(),
  };
}

/** A file name that cannot lead out of its directory. */
export function isPlainName(name: string): boolean {
  return (
    name !== "" && name !== "." && name !== ".." && !/[/\\:]/.test(name) && !name.includes("\0")
  );
}

function badIndex(message: string, path: string): HydrantError {
  return new HydrantError("checkpoint/bad-index", message, { path });
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw cannotRead(path, cause);
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

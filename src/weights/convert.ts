import { access, copyFile, mkdir, readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { HydrantError } from "../util/errors.ts";
import { openCheckpoint, openWeightFile } from "./checkpoint.ts";
import { cannotRead } from "./random-access-file.ts";
import { writeSafetensors } from "./safetensors-writer.ts";
import { shorten, type TensorFile } from "./tensor-file.ts";

/** A file that `convertCheckpoint` wrote. */
export interface ConvertedFile {
  /** Where it is. */
  readonly file: string;
  /** How many tensors it holds. */
  readonly tensors: number;
  /** Data bytes written. */
  readonly bytes: number;
}

/** Settings of `convertCheckpoint`. */
export interface ConvertOptions {
  /** Called as each tensor is written; `done` and `total` in bytes of one output file. */
  readonly progress?: (event: {
    readonly file: string;
    readonly done: number;
    readonly total: number;
  }) => void;
}

const sideFiles: ReadonlySet<string> = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer.model",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
]);

const pieceBytes = 8 * 1024 * 1024;

/**
 * Writes torch weights as safetensors: a weight file, or the base model and the draft heads of a
 * directory (shards become one file), with the configuration and tokenizer files beside. Tensors
 * that share data are written once under every name. Reads and writes in 8 MiB pieces; each file
 * is opened again and compared bit for bit before the call returns.
 *
 * @throws HydrantError `convert/nothing-to-do`, `convert/exists`, `convert/unwritable`,
 *   `convert/differs`, and what reading and writing throw
 */
export async function convertCheckpoint(
  input: string,
  outDir: string,
  options: ConvertOptions = {},
): Promise<ConvertedFile[]> {
  const jobs = await findJobs(input);
  for (const { target } of jobs) await refuseExisting(join(outDir, target));
  await makeDirectory(outDir);
  const converted: ConvertedFile[] = [];
  for (const { open, target } of jobs) {
    const source = await open();
    try {
      converted.push(await convertOne(source, join(outDir, target), options));
    } finally {
      await source.close();
    }
  }
  await copySideFiles(await directoryOf(input), outDir);
  return converted;
}

interface Job {
  readonly open: () => Promise<TensorFile>;
  readonly target: string;
}

async function findJobs(input: string): Promise<Job[]> {
  if ((await directoryOf(input)) !== input) {
    if (input.endsWith(".safetensors")) throw nothingToDo(input);
    return [{ open: () => openWeightFile(input), target: targetName(basename(input)) }];
  }
  const names = new Set(await readdir(input));
  const jobs: Job[] = [];
  const hasSafetensors =
    names.has("model.safetensors") || names.has("model.safetensors.index.json");
  const hasTorch = names.has("pytorch_model.bin") || names.has("pytorch_model.bin.index.json");
  if (hasTorch && !hasSafetensors)
    jobs.push({ open: () => openCheckpoint(input), target: "model.safetensors" });
  for (const heads of ["hydra_lm_head", "medusa_lm_head"]) {
    if (!names.has(`${heads}.pt`) || names.has(`${heads}.safetensors`)) continue;
    jobs.push({
      open: () => openWeightFile(join(input, `${heads}.pt`)),
      target: `${heads}.safetensors`,
    });
  }
  if (jobs.length === 0) throw nothingToDo(input);
  return jobs;
}

function targetName(name: string): string {
  const stem = name.replace(/\.(bin|pt|pth)$/, "");
  return `${stem === "pytorch_model" ? "model" : stem}.safetensors`;
}

async function convertOne(
  source: TensorFile,
  target: string,
  options: ConvertOptions,
): Promise<ConvertedFile> {
  const infos = [...source.tensors.values()];
  const total = infos.reduce((sum, info) => sum + info.byteLength, 0);
  let done = 0;
  const sources = infos.map((info) => ({
    name: info.name,
    dtype: info.dtype,
    shape: info.shape,
    read: async (into: Uint8Array, offset: number): Promise<void> => {
      await source.read(info.name, into, offset);
      done += into.length;
      options.progress?.({ file: target, done, total });
    },
  }));
  await writeSafetensors(target, sources, { format: "pt" });
  const written = await openWeightFile(target);
  try {
    for (const { name } of infos) await compare(source, written, name);
  } finally {
    await written.close();
  }
  return { file: target, tensors: infos.length, bytes: total };
}

async function compare(source: TensorFile, written: TensorFile, name: string): Promise<void> {
  const byteLength = source.tensors.get(name)?.byteLength ?? 0;
  const differs = (): HydrantError =>
    new HydrantError(
      "convert/differs",
      "The written tensor differs from its source; the disk may be failing.",
      {
        path: `${written.file}: ${shorten(name)}`,
      },
    );
  if (written.tensors.get(name)?.byteLength !== byteLength) throw differs();
  const expected = Buffer.alloc(Math.min(pieceBytes, byteLength));
  const found = Buffer.alloc(expected.length);
  for (let offset = 0; offset < byteLength; offset += expected.length) {
    const length = Math.min(expected.length, byteLength - offset);
    await source.read(name, expected.subarray(0, length), offset);
    await written.read(name, found.subarray(0, length), offset);
    if (expected.compare(found, 0, length, 0, length) !== 0) throw differs();
  }
}

async function copySideFiles(from: string, to: string): Promise<void> {
  if (resolve(from) === resolve(to)) return;
  for (const name of await readdir(from)) {
    if (sideFiles.has(name)) await copyFile(join(from, name), join(to, name));
  }
}

/** The directory itself, or the one a file lies in. */
async function directoryOf(path: string): Promise<string> {
  try {
    return (await stat(path)).isDirectory() ? path : dirname(path);
  } catch (cause) {
    throw cannotRead(path, cause);
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw new HydrantError("convert/unwritable", `The folder cannot be made (${String(cause)}).`, {
      path,
      cause,
    });
  }
}

async function refuseExisting(path: string): Promise<void> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists) {
    throw new HydrantError("convert/exists", "The output file is already there.", {
      path,
      hint: "Remove it or choose another directory.",
    });
  }
}

function nothingToDo(path: string): HydrantError {
  return new HydrantError(
    "convert/nothing-to-do",
    "There are no torch weights here that lack a safetensors form.",
    {
      path,
    },
  );
}

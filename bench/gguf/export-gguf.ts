import { mkdir, open, rename } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { decodeFloats, toF16 } from "../../src/ir/float-formats.ts";
import { type ModelConfig, parseModelConfig } from "../../src/models/config.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { JsonFields } from "../../src/util/json-fields.ts";
import { openCheckpoint } from "../../src/weights/checkpoint.ts";
import { readJsonFile } from "../../src/weights/json-file.ts";
import type { TensorFile } from "../../src/weights/tensor-file.ts";
import { type GgufTensorType, layOutGguf } from "./gguf-layout.ts";
import { modelMetadata, tokenizerMetadata } from "./llama-metadata.ts";
import { interleaveHalves, llamaTensors } from "./llama-tensors.ts";

/** Types the matrices may have; vectors are f32. */
export type GgufWeights = "bf16" | "f16";

/**
 * Writes a Hugging Face folder of a Llama (config.json, safetensors or torch weights, tokenizer.json)
 * as a GGUF file that llama.cpp loads, so that both engines run the same weights. bf16 weights are
 * copied bit by bit into a bf16 file; in an f16 file every weight must be in f16's range, and what is
 * smaller than its subnormals is rounded.
 *
 * @throws HydrantError `gguf/unsupported` for what this small exporter does not know (biases, llama3
 *   rope scaling, other tokenizers), `gguf/range` for a weight beyond f16, and what reading throws.
 */
export async function exportGguf(
  modelDir: string,
  file: string,
  weights: GgufWeights,
): Promise<void> {
  const configFile = join(modelDir, "config.json");
  const config = parseModelConfig(await readJsonFile(configFile), configFile);
  checkSupported(config, configFile);
  const fields = async (name: string) => {
    const path = join(modelDir, name);
    return new JsonFields(await readJsonFile(path), path);
  };
  const metadata = new Map([
    ...modelMetadata(config, basename(dirname(resolve(modelDir))), weights),
    ...tokenizerMetadata(
      await fields("tokenizer.json"),
      await fields("tokenizer_config.json"),
      config,
    ),
  ]);

  const checkpoint = await openCheckpoint(modelDir);
  try {
    const sources = llamaTensors(config);
    const layout = layOutGguf(
      metadata,
      sources.map(({ name, from, kind }) => ({
        name,
        type: kind === "vector" ? "f32" : weights,
        shape: checkpoint.tensors.get(from)?.shape ?? [],
      })),
    );
    await mkdir(dirname(file), { recursive: true });
    // Under another name until it is whole: an interrupted export must not look like a model.
    const partial = `${file}.partial`;
    const out = await open(partial, "w");
    try {
      await out.write(layout.head);
      for (const [index, { tensor, begin }] of layout.tensors.entries()) {
        const source = sources[index];
        if (source === undefined) continue;
        const data = await convert(checkpoint, source.from, tensor.type);
        const { rotatedHeads } = source;
        await out.write(
          rotatedHeads === undefined ? data : interleaveHalves(data, rotatedHeads, config.headDim),
          0,
          data.length,
          begin,
        );
      }
      await out.truncate(layout.byteLength);
    } finally {
      await out.close();
    }
    await rename(partial, file);
  } finally {
    await checkpoint.close();
  }
}

function checkSupported(config: ModelConfig, file: string): void {
  const { architecture, qkvBias, outputBias, mlpBias, rope } = config;
  const reason =
    architecture === "qwen2"
      ? "Qwen2 models are not exported."
      : qkvBias || outputBias || mlpBias
        ? "Models with biases are not exported."
        : rope.scaling.type === "llama3"
          ? "llama3 rope scaling is not exported."
          : undefined;
  if (reason !== undefined) throw new HydrantError("gguf/unsupported", reason, { path: file });
}

/** A whole tensor in the wanted type, little-endian. */
async function convert(
  checkpoint: TensorFile,
  name: string,
  type: GgufTensorType,
): Promise<Uint8Array> {
  const info = checkpoint.tensors.get(name);
  const path = `${checkpoint.file}: ${name}`;
  if (info === undefined)
    throw new HydrantError("checkpoint/unknown-tensor", "There is no such tensor.", { path });
  const stored = info.dtype;
  if (stored !== "bf16" && stored !== "f16" && stored !== "f32")
    throw new HydrantError("gguf/unsupported", `Tensors of ${stored} are not exported.`, { path });
  const bytes = new Uint8Array(info.byteLength);
  await checkpoint.read(name, bytes);
  if (stored === type) return bytes;

  const values = decodeFloats(stored, bytes);
  if (type === "f32") return new Uint8Array(values.buffer);
  if (type === "bf16")
    throw new HydrantError("gguf/unsupported", `${stored} weights do not fit into bf16 exactly.`, {
      path,
      hint: "Export them as f16.",
    });
  const halves = Uint16Array.from(values, toF16);
  const beyond = halves.findIndex((bits) => (bits & 0x7c00) === 0x7c00);
  if (beyond >= 0)
    throw new HydrantError("gguf/range", `Weight ${values[beyond]} is beyond f16.`, { path });
  return new Uint8Array(halves.buffer);
}

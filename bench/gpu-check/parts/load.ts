import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel } from "../../../src/index.ts";
import { noDrafter } from "../../../src/drafters/none.ts";
import { describeSynthetic } from "../../../src/api/synthetic-model.ts";
import { weightGraphs } from "../../../src/api/weight-graphs.ts";
import { syntheticElements, syntheticWeights } from "../../../src/weights/synthetic.ts";
import { encodeFloats } from "../../../src/ir/float-formats.ts";
import { writeSafetensors } from "../../../src/weights/safetensors-writer.ts";
import type { PartContext } from "../part.ts";

/** Layers of the checkpoint: 3.8 GB at the sizes of vicuna-7b. */
const layers = 8;

/** From a safetensors file to packed weights on the device: cold, then with the file in memory. */
export async function run(part: PartContext): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "gpu-check-load-"));
  try {
    await writeCheckpoint(folder);
    const isCold = dropCaches();
    for (const name of [isCold ? "from disk" : "first", "from the page cache", "again"]) {
      const begin = performance.now();
      const model = await loadModel(folder, { device: part.device });
      const seconds = (performance.now() - begin) / 1000;
      part.note(`${name}: seconds`, seconds);
      part.note(`${name}: GB/s`, model.weightBytes / seconds / 1e9);
      await model.dispose();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function writeCheckpoint(folder: string): Promise<void> {
  const { base } = describeSynthetic("vicuna-7b", undefined, (weights) => weights);
  const config = { ...base.config, layers };
  const { hiddenSize, intermediateSize, heads, kvHeads, vocabSize, rmsNormEps, maxPositions } =
    config;
  writeFileSync(
    join(folder, "config.json"),
    JSON.stringify({
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      vocab_size: vocabSize,
      hidden_size: hiddenSize,
      intermediate_size: intermediateSize,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      rms_norm_eps: rmsNormEps,
      max_position_embeddings: maxPositions,
      hidden_act: "silu",
      torch_dtype: "bfloat16",
    }),
  );
  // Numbers that are finite and cheap to make: one piece again and again.
  const values = { kind: "normal", scale: 0.02, seed: 1 } as const;
  const piece = encodeFloats("bf16", syntheticElements(values, 0, 1 << 22));
  const { parameters } = syntheticWeights(weightGraphs({ ...base, config }, noDrafter()));
  await writeSafetensors(
    join(folder, "model.safetensors"),
    [...parameters].map(([name, { shape }]) => ({
      name,
      dtype: "bf16",
      shape,
      read: async (into) => {
        into.set(piece.subarray(0, into.length));
      },
    })),
  );
}

/** Makes the next read come from the disk; only root may. */
function dropCaches(): boolean {
  try {
    execFileSync("sync");
    writeFileSync("/proc/sys/vm/drop_caches", "3");
    return true;
  } catch {
    return false;
  }
}

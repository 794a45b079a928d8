import { fileURLToPath } from "node:url";
import { Model } from "../../src/api/model.ts";
import { describeModel, openCheckpoints } from "../../src/api/open-checkpoints.ts";
import { openDevice } from "../../src/api/open-device.ts";
import { expectedTensors, parameterSource } from "../../src/api/parameter-source.ts";
import { weightGraphs } from "../../src/api/weight-graphs.ts";
import type { BaseModel } from "../../src/models/llama.ts";
import type { Drafter } from "../../src/speculation/drafter.ts";
import { loadTokenizer } from "../../src/text/load-tokenizer.ts";
import { bindTensors } from "../../src/weights/bind.ts";
import type { TensorFile } from "../../src/weights/tensor-file.ts";

const folder = fileURLToPath(new URL("../../demo/model/base", import.meta.url));

/**
 * The bundled model with a draft method of one's own, one without weights: what `loadModel` does,
 * less the heads.
 */
export async function demoModelWith(
  makeDrafter: (model: BaseModel) => Drafter,
  deviceName = "cpu",
): Promise<Model> {
  const opened: TensorFile[] = [];
  const checkpoints = await openCheckpoints(folder, undefined, opened);
  const { executor, cacheType, prefillRows } = await openDevice(deviceName);
  const { base } = describeModel(checkpoints, cacheType);
  const drafter = makeDrafter(base);
  const { file } = checkpoints;
  const needed = expectedTensors(weightGraphs(base, drafter));
  const weights = await executor.load(
    parameterSource({ file, tensors: bindTensors(needed.base, file, { ignore: [/inv_freq$/] }) }),
  );
  await Promise.all(opened.map((each) => each.close()));
  return new Model({
    name: folder,
    headsName: undefined,
    base,
    drafter,
    executor,
    weights,
    tokenizer: await loadTokenizer(folder),
    chatTemplate: undefined,
    contextLength: 512,
    prefillRows,
  });
}

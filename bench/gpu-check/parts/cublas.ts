import assert from "node:assert/strict";
import { openDriver } from "../../../runtime/driver/open-driver.ts";
import { namedShape } from "../../../src/models/named-shapes.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import { DeviceKernels } from "../../ceilings/device-kernels.ts";
import { spread } from "../../decode/statistics.ts";
import { compareProducts, productTolerance } from "../../peers/cublas/compare-products.ts";
import { Cublas } from "../../peers/cublas/cublas.ts";
import { findCublas } from "../../peers/cublas/find-cublas.ts";
import { modelProducts } from "../../peers/cublas/model-products.ts";
import { productExecutor } from "../../peers/cublas/own-products.ts";
import { productNames } from "../figure-names.ts";
import type { PartContext } from "../part.ts";

const shapes = ["vicuna-7b", "llama-3.1-8b"] as const;
const treeRows = [1, 8, 16, 32, 64];
const promptRows = 2048;
const rounds = 12;
const workspaceBytes = 2 ** 26;
/** No shape is begun after this time: the part must end within its limit. */
const mostSeconds = 45;

/** Our matrix products beside cuBLAS's, of the same weights, and what a prompt costs cuBLAS. */
export async function run(part: PartContext): Promise<void> {
  const driver = await openDriver("cuda");
  const ordinal = Number(part.device.split(":")[1] ?? 0);
  const begin = performance.now();
  const executor = await productExecutor(driver, ordinal);
  const kernels = new DeviceKernels(driver, ordinal);
  const workspace = driver.memAlloc(workspaceBytes);
  const cublas = openCublas(part, Math.floor(driver.driverVersion() / 1000));
  if (cublas === undefined) return;
  part.note("library", cublas.name);
  const library = {
    name: cublas.name,
    setStream: (stream: typeof kernels.stream) => {
      cublas.setStream(stream);
      cublas.setWorkspace(workspace, workspaceBytes);
    },
    multiply: cublas.multiply.bind(cublas),
    close: () => cublas.close(),
  };
  const cacheBytes = driver.deviceAttribute(driver.deviceGet(ordinal), "l2CacheSize");
  for (const shape of shapes) {
    let promptMs = 0;
    let isWhole = true;
    for (const product of modelProducts(namedShape(shape))) {
      if ((performance.now() - begin) / 1000 > mostSeconds) {
        part.skip(`${shape} ${product.name}`, `not begun after ${mostSeconds} s`);
        isWhole = false;
        continue;
      }
      // Of the vocabulary a prompt needs the last row.
      const rows = product.count === 1 ? treeRows : [...treeRows, promptRows];
      const bytes = 2 * product.inputs * product.outputs;
      const copies = Math.min(8, Math.max(2, Math.ceil((3 * cacheBytes) / bytes)));
      const setup = { executor, kernels, library, product, rows, copies, rounds };
      await part.check(`${shape} ${product.name}: runs`, () =>
        compareProducts(setup, async ({ rows: count, own, peer, error }) => {
          const name = productNames.own(shape, product.name, count);
          part.figure(name, "ms", own);
          part.figure(productNames.cublas(name), "ms", peer);
          const moved = bytes + 2 * count * (product.inputs + product.outputs);
          part.note(productNames.rate(name), moved / spread(own).median / 1e6);
          await part.check(`${name}: cuBLAS's result`, () =>
            assert.ok(error <= productTolerance, `the difference is ${error} of the largest`),
          );
          if (count === (product.count === 1 ? 1 : promptRows))
            promptMs += product.count * spread(peer).median;
        }),
      );
    }
    if (isWhole) part.figure(productNames.prompt(shape, promptRows), "ms", [promptMs]);
  }
  cublas.close();
  await executor.dispose();
}

function openCublas(part: PartContext, maxMajor: number): Cublas | undefined {
  try {
    return new Cublas(findCublas(maxMajor));
  } catch (error) {
    if (!(error instanceof HydrantError && error.code === "bench/peer")) throw error;
    part.skip("cuBLAS", error.oneLine);
    return undefined;
  }
}

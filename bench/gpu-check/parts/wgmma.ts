import assert from "node:assert/strict";
import { openDriver } from "../../../runtime/driver/open-driver.ts";
import type { CudaExecutor } from "../../../runtime/cuda/executor.ts";
import { namedShape } from "../../../src/models/named-shapes.ts";
import { activations, productTolerance, toFloats } from "../../peers/cublas/compare-products.ts";
import { modelProducts } from "../../peers/cublas/model-products.ts";
import { OwnProducts, productExecutor } from "../../peers/cublas/own-products.ts";
import { largestDifference } from "../../suite/check.ts";
import { productNames } from "../figure-names.ts";
import type { PartContext } from "../part.ts";

/** Inputs in four parts; every kind of row tile. */
const small = { name: "256x1088", inputs: 1088, outputs: 256, count: 1 };
const smallRows = [1, 7, 16, 33, 64, 130];
const shape = "vicuna-7b";
const timedRows = [1, 16, 64, 2048];
const rounds = 8;
/** No product is begun after this time: the part must end within its limit. */
const mostSeconds = 16;

/** Products of warpgroups on their own: where they are wrong, the parts that follow do without. */
export async function run(part: PartContext): Promise<void> {
  const begin = performance.now();
  const isEmulated = part.device === "emulator";
  const driver = isEmulated
    ? await openDriver("emulator", { computeCapability: "9.0" })
    : await openDriver("cuda");
  const ordinal = Number(part.device.split(":")[1] ?? 0);
  const warpgroups = await productExecutor(driver, ordinal, true);
  const plain = await productExecutor(driver, ordinal, false);
  const { arch } = warpgroups.target;
  if (arch !== "sm_90a") part.skip("wgmma", `${arch} has none`);
  else {
    await compare(part, warpgroups, plain, small, smallRows, "products", 1, "f32");
    for (const product of isEmulated ? [] : modelProducts(namedShape(shape))) {
      if ((performance.now() - begin) / 1000 > mostSeconds)
        part.skip(`${shape} ${product.name}`, `not begun after ${mostSeconds} s`);
      else {
        const rows = product.count === 1 ? timedRows.slice(0, 3) : timedRows;
        await compare(part, warpgroups, plain, product, rows, shape, 4, "bf16");
      }
    }
  }
  await plain.dispose();
  await warpgroups.dispose();
}

/**
 * Both ways on the same numbers; `copies` of the weights, so that no cache holds them.
 * @param stored of results: all of their bits, or what a model keeps of them.
 */
async function compare(
  part: PartContext,
  warpgroups: CudaExecutor,
  plain: CudaExecutor,
  product: { readonly name: string; readonly inputs: number; readonly outputs: number },
  rows: readonly number[],
  of: string,
  copies: number,
  stored: "f32" | "bf16",
): Promise<void> {
  const most = { ...product, rows: Math.max(...rows) };
  const both = await Promise.all(
    [warpgroups, plain].map(async (executor) => {
      const products = await OwnProducts.load(executor, most, copies);
      const prepared = await Promise.all(rows.map((count) => products.prepare(count, stored)));
      return { products, prepared };
    }),
  );
  // The first row is the same whatever the number of rows: the shape of the instruction is not.
  let firstRow: Float32Array | undefined;
  for (const [i, count] of rows.entries()) {
    const name = productNames.own(of, product.name, count);
    await part.check(name, async () => {
      const x = activations(count * product.inputs);
      const results = [];
      for (const [way, { products, prepared }] of both.entries()) {
        const ready = prepared[i];
        assert.ok(ready !== undefined);
        const measured = await products.measure(ready, x, rounds);
        part.figure(`${name}: ${way === 0 ? "wgmma" : "mma.sync"}`, "ms", measured.ms);
        results.push([toFloats(measured.first), toFloats(measured.last)]);
      }
      const [[first] = []] = results;
      firstRow ??= first;
      assert.deepEqual(first, firstRow, "a row's bits depend on the number of rows");
      let same = 0;
      let compared = 0;
      for (const row of [0, 1]) {
        const [own, other] = results.map((rowsOfWay) => rowsOfWay[row] ?? new Float32Array());
        assert.ok(own !== undefined && other !== undefined);
        const { error } = largestDifference("row", own, other);
        assert.ok(error <= productTolerance, `the difference is ${error} of the largest`);
        compared += own.length;
        same += own.filter((value, at) => Object.is(value, other[at])).length;
      }
      part.note(`${name}: results with the same bits`, `${same} of ${compared}`);
    });
  }
  for (const { products } of both) await products.dispose();
}

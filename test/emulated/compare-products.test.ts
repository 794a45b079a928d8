import { describe, expect, it } from "vitest";
import { DeviceKernels } from "../../bench/ceilings/device-kernels.ts";
import {
  compareProducts,
  type ProductComparison,
  productTolerance,
} from "../../bench/peers/cublas/compare-products.ts";
import type { ProductLibrary } from "../../bench/peers/cublas/cublas.ts";
import { modelProducts } from "../../bench/peers/cublas/model-products.ts";
import { productExecutor } from "../../bench/peers/cublas/own-products.ts";
import type { CudaDriver, DevicePtr } from "../../runtime/driver/driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { decodeFloats, encodeFloats } from "../../src/ir/float-formats.ts";
import { namedShape } from "../../src/models/named-shapes.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("compares products", () => {}));

/** A library that multiplies on the host, once for every shape: what is captured does nothing. */
function hostLibrary(driver: CudaDriver, wrong: number): ProductLibrary {
  let last = "";
  const read = (at: DevicePtr, elements: number) => {
    const bytes = new Uint8Array(2 * elements);
    driver.memcpyDtoH(bytes, at);
    return decodeFloats("bf16", bytes);
  };
  return {
    name: "the host",
    setStream: () => {},
    close: () => {},
    multiply({ rows, inputs, outputs }, { x, weights, y }) {
      if (last === `${rows}`) return;
      last = `${rows}`;
      const [a, w] = [read(x, rows * inputs), read(weights, outputs * inputs)];
      const results = Float32Array.from({ length: rows * outputs }, (_, at) => {
        const [row, out] = [Math.floor(at / outputs), at % outputs];
        let sum = wrong;
        for (let k = 0; k < inputs; k++)
          sum += (a[row * inputs + k] ?? 0) * (w[out * inputs + k] ?? 0);
        return sum;
      });
      driver.memcpyHtoD(y, encodeFloats("bf16", results));
    },
  };
}

async function compare(wrong: number): Promise<ProductComparison[]> {
  const driver = await openDriver("emulator", { memoryBytes: 64 << 20 });
  const executor = await productExecutor(driver, 0);
  const kernels = new DeviceKernels(driver, 0);
  const found: ProductComparison[] = [];
  await compareProducts(
    {
      executor,
      kernels,
      library: hostLibrary(driver, wrong),
      product: { name: "small", inputs: 128, outputs: 96, count: 1 },
      rows: [1, 9],
      copies: 2,
      rounds: 2,
    },
    (one) => {
      found.push(one);
    },
  );
  await executor.dispose();
  expect(driver.findings()).toEqual([]);
  return found;
}

describe.skipIf(installedNvrtc().length === 0)("our products beside a library's", () => {
  it("are of the same weights and inputs, and both are timed", async () => {
    const found = await compare(0);
    expect(found.map(({ rows }) => rows)).toEqual([1, 9]);
    for (const { own, peer, error } of found) {
      expect([own.length, peer.length]).toEqual([2, 2]);
      expect(error).toBeLessThan(productTolerance);
    }
  });

  it("show a result that is wrong", async () => {
    for (const { error } of await compare(0.5)) expect(error).toBeGreaterThan(productTolerance);
  });
});

it("a forward pass has the products of its layers, those of one input joined", () => {
  expect(modelProducts(namedShape("llama-3.1-8b"))).toEqual([
    { name: "qkv", inputs: 4096, outputs: 6144, count: 32 },
    { name: "o_proj", inputs: 4096, outputs: 4096, count: 32 },
    { name: "gate_up", inputs: 4096, outputs: 28672, count: 32 },
    { name: "down", inputs: 14336, outputs: 4096, count: 32 },
    { name: "lm_head", inputs: 4096, outputs: 128256, count: 1 },
  ]);
});

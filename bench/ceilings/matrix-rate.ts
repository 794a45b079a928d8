import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { Cublas, type ProductLibrary } from "../peers/cublas/cublas.ts";
import { findCublas } from "../peers/cublas/find-cublas.ts";
import { spread } from "../decode/statistics.ts";
import { DeviceKernels } from "./device-kernels.ts";

export interface MatrixRate {
  /** Operations a second, multiplications and additions, of every round; in 10¹². */
  readonly teraflops: readonly number[];
  /** Rows, inputs and outputs of the products. */
  readonly size: number;
}

/** Square products that fill any GPU. */
const sizes = [4096, 8192] as const;
const rounds = 8;

/** What large bf16 products with f32 sums reach, on random data: the better of some sizes. */
export function measureMatrixRate(
  driver: CudaDriver,
  ordinal: number,
  library: ProductLibrary,
  tried: readonly number[] = sizes,
): MatrixRate {
  const kernels = new DeviceKernels(driver, ordinal);
  const bytes = 2 * Math.max(...tried) ** 2;
  const [x, weights, y] = [driver.memAlloc(bytes), driver.memAlloc(bytes), driver.memAlloc(bytes)];
  try {
    kernels.fill(x, bytes, 1);
    kernels.fill(weights, bytes, 2, 0.02);
    library.setStream(kernels.stream);
    const rates = tried.map((size): MatrixRate => {
      const product = { rows: size, inputs: size, outputs: size };
      const ms = kernels.time(() => library.multiply(product, { x, weights, y }), rounds);
      return { size, teraflops: ms.map((one) => (2 * size ** 3) / one / 1e9) };
    });
    const [best] = rates.toSorted(
      (a, b) => spread(b.teraflops).median - spread(a.teraflops).median,
    );
    if (best === undefined) throw new RangeError("there is no size to try");
    return best;
  } finally {
    for (const ptr of [x, weights, y]) driver.memFree(ptr);
    kernels.close();
  }
}

/** Operations a second of large bf16 products; undefined where there is no cuBLAS. */
export function matrixRate(driver: CudaDriver, ordinal: number): number | undefined {
  driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(ordinal)));
  try {
    const cublas = new Cublas(findCublas(Math.floor(driver.driverVersion() / 1000)));
    const { teraflops } = measureMatrixRate(driver, ordinal, cublas);
    cublas.close();
    return 1e12 * spread(teraflops).median;
  } catch (error) {
    if (error instanceof HydrantError && error.code === "bench/peer") return undefined;
    throw error;
  } finally {
    driver.primaryContextRelease(driver.deviceGet(ordinal));
  }
}

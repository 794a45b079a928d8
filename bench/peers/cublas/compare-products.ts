import type { CudaExecutor } from "../../../runtime/cuda/executor.ts";
import { decodeFloats, encodeFloats } from "../../../src/ir/float-formats.ts";
import { syntheticElements } from "../../../src/weights/synthetic.ts";
import type { DeviceKernels } from "../../ceilings/device-kernels.ts";
import { largestDifference } from "../../suite/check.ts";
import type { ProductLibrary } from "./cublas.ts";
import type { ModelProduct } from "./model-products.ts";
import { OwnProducts } from "./own-products.ts";
import { comparedOutputs, PeerProducts } from "./peer-products.ts";

/** Over the largest result: bf16 results of two orders of summation. */
export const productTolerance = 0.02;

export interface ProductComparison {
  readonly rows: number;
  /** Milliseconds of one product in every round. */
  readonly own: readonly number[];
  readonly peer: readonly number[];
  /** Largest difference of the compared results over the largest result. */
  readonly error: number;
}

export interface ComparisonSetup {
  readonly executor: CudaExecutor;
  readonly kernels: DeviceKernels;
  readonly library: ProductLibrary;
  readonly product: ModelProduct;
  readonly rows: readonly number[];
  /** Weights of their own: together several times the cache. */
  readonly copies: number;
  readonly rounds: number;
}

/** Times a product by our kernels and by the library, and compares what they compute. */
export async function compareProducts(
  { executor, kernels, library, product, rows, copies, rounds }: ComparisonSetup,
  done: (comparison: ProductComparison) => void | Promise<void>,
): Promise<void> {
  const { inputs, outputs } = product;
  const most = { rows: Math.max(...rows), inputs, outputs };
  const own = await OwnProducts.load(executor, most, copies);
  const peer = new PeerProducts(kernels, library, most, copies);
  try {
    const prepared = await Promise.all(
      rows.map(async (count) => ({ count, ready: await own.prepare(count) })),
    );
    for (const { count, ready } of prepared) {
      const x = activations(count * inputs);
      const ours = await own.measure(ready, x, rounds);
      const theirs = peer.measure(count, x, rounds);
      const shared = Math.min(comparedOutputs, outputs);
      const errors = (["first", "last"] as const).map(
        (row) => largestDifference(row, theirs[row], toFloats(ours[row]).slice(0, shared)).error,
      );
      await done({ rows: count, own: ours.ms, peer: theirs.ms, error: Math.max(...errors) });
    }
  } finally {
    peer.close();
    await own.dispose();
  }
}

/** Normal numbers that bf16 holds; a few thousand of them again and again for many rows. */
export function activations(count: number): Float32Array {
  const some = Math.min(count, 2 ** 19);
  const normal = syntheticElements({ kind: "normal", scale: 1, seed: 11 }, 0, some);
  const rounded = decodeFloats("bf16", encodeFloats("bf16", normal));
  const x = new Float32Array(count);
  for (let at = 0; at < count; at += some)
    x.set(rounded.subarray(0, Math.min(some, count - at)), at);
  return x;
}

export function toFloats(values: ArrayLike<number | bigint> | undefined): Float32Array {
  return Float32Array.from(Array.from(values ?? []), Number);
}

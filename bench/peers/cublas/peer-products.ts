import { type DevicePtr, offsetPtr } from "../../../runtime/driver/driver.ts";
import { encodeFloats } from "../../../src/ir/float-formats.ts";
import { syntheticElements, syntheticWeights } from "../../../src/weights/synthetic.ts";
import type { DeviceKernels } from "../../ceilings/device-kernels.ts";
import type { Product, ProductLibrary } from "./cublas.ts";
import { productGraph, weightName } from "./own-products.ts";

/** Outputs of the first copy whose weights are ours, so that results can be compared. */
export const comparedOutputs = 64;

/** The same products by a library: weights row-major, as many copies, run as one CUDA graph. */
export class PeerProducts {
  readonly #kernels: DeviceKernels;
  readonly #library: ProductLibrary;
  readonly #product: Product;
  readonly #copies: number;
  readonly #weights: DevicePtr;
  readonly #x: DevicePtr;
  readonly #y: DevicePtr;

  /** @param product with the most rows that will be asked for. */
  constructor(kernels: DeviceKernels, library: ProductLibrary, product: Product, copies: number) {
    this.#kernels = kernels;
    this.#library = library;
    this.#product = product;
    this.#copies = copies;
    const { driver } = kernels;
    const { rows, inputs, outputs } = product;
    this.#weights = driver.memAlloc(copies * this.#matrixBytes);
    this.#x = driver.memAlloc(2 * rows * inputs);
    this.#y = driver.memAlloc(2 * rows * outputs);
    kernels.fill(this.#weights, copies * this.#matrixBytes, 3, 1 / Math.sqrt(inputs));
    driver.streamSynchronize(kernels.stream);
    const own = syntheticWeights([productGraph("weights", { ...product, rows: 1 }, 1)]);
    const shared = Math.min(comparedOutputs, outputs);
    const values = syntheticElements(own.synthetic(weightName(0)), 0, shared * inputs);
    driver.memcpyHtoD(this.#weights, encodeFloats("bf16", values));
  }

  get #matrixBytes(): number {
    return 2 * this.#product.inputs * this.#product.outputs;
  }

  /**
   * @param x f32[rows, inputs], numbers that bf16 holds.
   * @returns milliseconds of one product in every round, and the first outputs of the first and last
   *   row, of the copy whose weights are ours.
   */
  measure(rows: number, x: Float32Array, rounds: number) {
    const { driver, stream } = this.#kernels;
    const product = { ...this.#product, rows };
    driver.memcpyHtoD(this.#x, encodeFloats("bf16", x));
    const queue = (copy: number) =>
      this.#library.multiply(product, {
        x: this.#x,
        y: this.#y,
        weights: offsetPtr(this.#weights, copy * this.#matrixBytes),
      });
    this.#library.setStream(stream);
    // Not in the capture: the library may set itself up for a shape.
    queue(0);
    driver.streamSynchronize(stream);
    const row = (index: number) => this.#row(index);
    const results = { first: row(0), last: row(rows - 1) };
    driver.streamBeginCapture(stream);
    for (let copy = 0; copy < this.#copies; copy++) queue(copy);
    const graph = driver.streamEndCapture(stream);
    const exec = driver.graphInstantiate(graph);
    try {
      const ms = this.#kernels.time(() => driver.graphLaunch(exec, stream), rounds);
      return { ms: ms.map((one) => one / this.#copies), ...results };
    } finally {
      driver.graphExecDestroy(exec);
      driver.graphDestroy(graph);
    }
  }

  close(): void {
    for (const ptr of [this.#weights, this.#x, this.#y]) this.#kernels.driver.memFree(ptr);
  }

  /** f32 of the first outputs of a row of y. */
  #row(index: number): Float32Array {
    const { outputs } = this.#product;
    const halves = new Uint16Array(Math.min(comparedOutputs, outputs));
    this.#kernels.driver.memcpyDtoH(halves, offsetPtr(this.#y, 2 * index * outputs));
    return Float32Array.from(
      halves,
      (half) => new Float32Array(Uint32Array.of(half << 16).buffer)[0] ?? 0,
    );
  }
}

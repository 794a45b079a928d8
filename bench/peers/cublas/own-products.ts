import { CudaExecutor, type CudaWeights } from "../../../runtime/cuda/executor.ts";
import { CudaExecutable } from "../../../runtime/cuda/executable.ts";
import type { CudaSession } from "../../../runtime/cuda/session.ts";
import type { CudaDriver } from "../../../runtime/driver/driver.ts";
import { KernelCache } from "../../../runtime/nvrtc/cache.ts";
import { programCompiler, withoutByEnvironment } from "../../../src/api/compile-program.ts";
import { cudaHeaders } from "../../../src/api/cuda-headers.ts";
import { GraphBuilder } from "../../../src/ir/builder.ts";
import type { FloatDType } from "../../../src/ir/dtype.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import type { ProgramCompiler } from "../../../src/ir/program.ts";
import { tensor } from "../../../src/ir/shape.ts";
import { invariant } from "../../../src/util/errors.ts";
import { syntheticWeights } from "../../../src/weights/synthetic.ts";
import type { Product } from "./cublas.ts";

/** Name of the graphs of which the products alone are launched. */
const productsAlone = "products alone";
const scope = "product";

/** The code generator, but for graphs of that name without what feeds and follows the products. */
const compiler: ProgramCompiler = {
  ...programCompiler,
  compile(graph, dims, target) {
    const program = programCompiler.compile(graph, dims, target);
    if (graph.name !== productsAlone) return program;
    return {
      ...program,
      launches: program.launches.filter(({ label }) => label.includes(`${scope}.`)),
    };
  },
};

/** @param warpgroups as in `CudaOptions`; by default what the environment says. */
export function productExecutor(
  driver: CudaDriver,
  ordinal: number,
  warpgroups?: boolean,
): Promise<CudaExecutor> {
  return CudaExecutor.create({
    driver,
    ordinal,
    ...withoutByEnvironment(),
    ...(warpgroups === undefined ? {} : { warpgroups }),
    compiler,
    headers: cudaHeaders,
    activations: "stored",
    cache: new KernelCache(),
  });
}

/** Our kernels for products of one matrix shape: copies with weights of their own. */
export class OwnProducts {
  readonly #weights: CudaWeights;
  readonly #sessions: CudaSession[] = [];
  readonly #copies: number;
  readonly #inputs: number;
  readonly #outputs: number;

  private constructor(weights: CudaWeights, copies: number, { inputs, outputs }: Product) {
    this.#weights = weights;
    this.#copies = copies;
    this.#inputs = inputs;
    this.#outputs = outputs;
  }

  static async load(
    executor: CudaExecutor,
    product: Product,
    copies: number,
  ): Promise<OwnProducts> {
    const graph = productGraph("weights", { ...product, rows: 1 }, copies);
    const weights = await executor.load(syntheticWeights([graph]));
    return new OwnProducts(weights, copies, product);
  }

  /**
   * Compiles what `measure` runs, so that many can compile at once.
   * @param stored of results: bf16 is what the library stores.
   */
  async prepare(rows: number, stored: FloatDType = "bf16"): Promise<PreparedProducts> {
    const product = { rows, inputs: this.#inputs, outputs: this.#outputs };
    const session = this.#weights.session({ capacity: 64 });
    this.#sessions.push(session);
    const whole = session.compile(productGraph("products", product, this.#copies, stored));
    const alone = session.compile(productGraph(productsAlone, product, this.#copies, stored));
    invariant(
      whole instanceof CudaExecutable && alone instanceof CudaExecutable,
      "CUDA sessions make CUDA executables",
    );
    await Promise.all([whole.prepare(), alone.prepare()]);
    return { session, whole, alone };
  }

  /**
   * @param x f32[rows, inputs], numbers that bf16 holds.
   * @returns milliseconds of one product in every round, and rows of the first copy's result.
   */
  async measure({ session, whole, alone }: PreparedProducts, x: Float32Array, rounds: number) {
    session.writeState("x", x);
    const { first, last } = await whole.run({});
    const ms: number[] = [];
    // What the whole graph has left in scratch memory is what the products alone read.
    for (let round = -2; round < rounds; round++) {
      const time = await alone.time({});
      if (round >= 0) ms.push(time / this.#copies);
    }
    return { ms, first, last };
  }

  async dispose(): Promise<void> {
    await this.#weights.dispose();
  }
}

export interface PreparedProducts {
  readonly session: CudaSession;
  readonly whole: CudaExecutable;
  readonly alone: CudaExecutable;
}

/** The weight of copy `copy`, as `syntheticWeights` knows it. */
export const weightName = (copy: number): string => `${copy}.weight`;

/** Outputs `first` and `last`, f32[outputs]: those rows of the first copy's result. */
export function productGraph(
  name: string,
  { rows, inputs, outputs }: Product,
  copies: number,
  stored: FloatDType = "bf16",
): Graph {
  const b = new GraphBuilder(name);
  const x = b.cast(b.state("x", tensor("f32", rows, inputs)), "bf16");
  for (let copy = 0; copy < copies; copy++) {
    const w = b.parameter(weightName(copy), tensor("bf16", outputs, inputs));
    const y = b.scope(scope, () => b.cast(b.linear(x, w, undefined, String(copy)), stored));
    const row = (index: number) =>
      b.reshape(b.cast(b.gather(y, b.constant("i32", [index])), "f32"), outputs);
    // Of the other copies one number, so that they are computed.
    if (copy === 0) {
      b.output("first", row(0));
      b.output("last", row(rows - 1));
    } else b.output(`copy ${copy}`, b.gather(row(0), b.constant("i32", [0])));
  }
  return b.finish();
}

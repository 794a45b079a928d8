import { narrowActivations } from "../../../codegen/passes/narrow-activations.ts";
import type { LoadedWeights, TensorData, Tensors } from "../../../runtime/executor.ts";
import { InterpreterExecutor } from "../../../runtime/interpreter-executor.ts";
import { elementCount } from "../../../src/ir/shape.ts";
import type { Target } from "../../../src/ir/program.ts";
import type { BaseModel } from "../../../src/models/llama.ts";
import { syntheticWeights } from "../../../src/weights/synthetic.ts";
import { type Difference, largestDifference } from "../check.ts";
import type { Check } from "../results.ts";
import { buildCase, type CaseGraph, checkedRows, writeContents } from "./case-graph.ts";
import type { KernelCase } from "./kernel-case.ts";
import type { Extent } from "./site.ts";

/** Largest differences over the largest result: sums in f32, and with activations rounded to bf16. */
const tolerances = { f32: 1e-5, stored: 1.5e-2 } as const;
/** The interpreter holds weights in f64: more elements than this are more than a machine has room for. */
const mostElements = 2 ** 28;

/**
 * What a case's results should be, by the reference interpreter in f64. It computes the rows that are
 * compared, one by one, as no row depends on the others; and where columns do not either, some of them.
 */
export class CaseCheck {
  readonly #case: KernelCase;
  readonly #whole: BaseModel;
  /** What is enough to compute what is compared. */
  readonly #model: BaseModel;
  readonly #target: Target;
  readonly #expected = new Map<string, Tensors>();
  #weights: LoadedWeights | undefined;

  constructor(kernelCase: KernelCase, model: BaseModel, target: Target) {
    this.#case = kernelCase;
    const config = kernelCase.cut?.(model.config) ?? model.config;
    this.#whole = model;
    this.#model = { ...model, config };
    this.#target = target;
  }

  /** @param actual outputs of the case's graph. */
  async check(extent: Extent, actual: Tensors): Promise<Check> {
    const elements = this.#weightElements(extent);
    if (elements > mostElements) {
      const gigabytes = ((8 * elements) / 2 ** 30).toFixed(0);
      return {
        status: "skipped",
        reason: `the reference would need ${gigabytes} GiB for its weights`,
      };
    }
    const rows = checkedRows(this.#case, extent.rows);
    const parts = rows.length === 0 ? [undefined] : rows;
    let worst: Difference = { error: 0 };
    for (const row of parts) {
      for (const [name, wanted] of Object.entries(await this.#reference({ ...extent, row }))) {
        const difference = largestDifference(name, actual[name], wanted);
        // Not a number is worse than any number, and stays the worst.
        if (!Number.isNaN(worst.error) && !(difference.error <= worst.error)) worst = difference;
      }
    }
    const { activations } = this.#target;
    const tolerance = this.#case.isExact ? 0 : tolerances[activations];
    return {
      status: worst.error <= tolerance ? "passed" : "failed",
      against: `reference interpreter, ${this.#covered(rows)}`,
      error: Number.isFinite(worst.error) ? Number(worst.error.toPrecision(3)) : 1,
      tolerance,
      message: worst.error <= tolerance ? undefined : worst.message,
    };
  }

  async dispose(): Promise<void> {
    await this.#weights?.dispose();
  }

  #covered(rows: readonly number[]): string {
    const columns = this.#case.cut === undefined ? "" : ", some columns";
    if (rows.length === 0) return `whole${columns}`;
    return `${rows.length === 1 ? "row" : "rows"} ${rows.join(" and ")}${columns}`;
  }

  async #reference(extent: Extent): Promise<Tensors> {
    const key = JSON.stringify([extent.row ?? extent.rows, extent.context, extent.capacity]);
    const known = this.#expected.get(key);
    if (known !== undefined) return known;
    const built = this.#build(extent);
    this.#weights ??= await new InterpreterExecutor().load(syntheticWeights([built.graph]));
    const session = this.#weights.session({ capacity: extent.capacity });
    const executable = session.compile(
      extent.isCompiled ? narrowActivations(built.graph, this.#target) : built.graph,
    );
    writeContents(session, built);
    const outputs = await executable.run({});
    const wanted = Object.fromEntries(
      Object.entries(outputs)
        .filter(([name]) => /^0\.\d/.test(name))
        .map(([name, data]): [string, TensorData] => [name, data.slice()]),
    );
    session.dispose();
    this.#expected.set(key, wanted);
    return wanted;
  }

  #build(extent: Extent): CaseGraph {
    return buildCase(this.#case, this.#model, extent, 1, this.#whole.config);
  }

  #weightElements(extent: Extent): number {
    const row = this.#case.results === "rows" ? 0 : undefined;
    const { graph } = this.#build({ ...extent, row });
    const weights = [...syntheticWeights([graph]).parameters.values()];
    return weights.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  }
}

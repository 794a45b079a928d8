import type { Session, TensorData } from "../../../runtime/executor.ts";
import { GraphBuilder, type Value } from "../../../src/ir/builder.ts";
import { byteSize, isFloat } from "../../../src/ir/dtype.ts";
import { type Graph, typeOf } from "../../../src/ir/graph.ts";
import { bindShape, elementCount } from "../../../src/ir/shape.ts";
import { verifyGraph } from "../../../src/ir/verify.ts";
import type { ModelConfig } from "../../../src/models/config.ts";
import type { BaseModel } from "../../../src/models/llama.ts";
import type { KernelCase } from "./kernel-case.ts";
import { type Extent, Site } from "./site.ts";

/** A case as a graph: copies of it side by side, each with weights and caches of its own. */
export interface CaseGraph {
  readonly graph: Graph;
  readonly copies: number;
  /** What states hold before the first run, by name. */
  readonly contents: ReadonlyMap<string, TensorData>;
}

/** Rows of a case whose results are outputs, to be checked: the first and the last. */
export function checkedRows({ results }: KernelCase, rows: number): readonly number[] {
  return results === "whole" ? [] : [...new Set([0, rows - 1])];
}

/**
 * Outputs: `0.R.I` is row R of result I of the first copy, `0.I` the result I where it counts as a
 * whole; of the other copies, enough to keep them alive.
 * @param whole sizes of what `model` is a cut of.
 */
export function buildCase(
  kernelCase: KernelCase,
  model: BaseModel,
  extent: Extent,
  copies: number,
  whole: ModelConfig = model.config,
): CaseGraph {
  const b = new GraphBuilder(`${kernelCase.family}/${kernelCase.name}`);
  const contents = new Map<string, TensorData>();
  for (let copy = 0; copy < copies; copy++) {
    const site = new Site(b, model, whole, extent, copy, contents);
    for (const [index, value] of kernelCase.build(site).entries())
      output(kernelCase, site, value, index);
  }
  const graph = b.finish();
  verifyGraph(graph);
  return { graph, copies, contents };
}

function output(kernelCase: KernelCase, site: Site, value: Value, index: number): void {
  const { b, extent } = site;
  if (kernelCase.results === "whole") {
    b.output(site.name(String(index)), value);
    return;
  }
  // Of a graph for one row, that row; of one for all, those that are checked.
  const rows = extent.row === undefined ? checkedRows(kernelCase, extent.rows) : [extent.row];
  for (const row of rows) b.output(site.name(`${row}.${index}`), site.row(value, row - site.first));
}

/** Brings a session's states to what the case begins with. */
export function writeContents(session: Session, { contents }: CaseGraph): void {
  for (const [name, data] of contents) session.writeState(name, data);
}

/** Bytes of the weights and caches of one copy: what would stay in a cache between runs. */
export function coldBytes({ graph, copies }: CaseGraph, capacity: number): number {
  const bytes = graph.sources.map(({ kind, value }) => {
    const { dtype, shape } = typeOf(graph, value);
    const isCold = kind === "parameter" || (kind === "state" && shape.includes("capacity"));
    if (!isCold || !isFloat(dtype)) return 0;
    return elementCount(bindShape(shape, { capacity })) * byteSize(dtype);
  });
  return bytes.reduce((sum, one) => sum + one, 0) / copies;
}

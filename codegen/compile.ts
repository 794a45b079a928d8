import type { Graph } from "../src/ir/graph.ts";
import type { Program, Target } from "../src/ir/program.ts";
import type { DimBindings } from "../src/ir/shape.ts";
import { verifyGraph } from "../src/ir/verify.ts";
import { type FusedGraph, verifyFusedGraph } from "./fused-graph.ts";
import { fusionPasses, graphPasses, groupStage, lowerStage, programPasses } from "./pipeline.ts";

/** Everything between a graph and its program, for who wants to look. */
export interface Compilation {
  /** After the graph passes. */
  readonly graph: Graph;
  readonly fused: FusedGraph;
  readonly program: Program;
}

/**
 * Compiles a graph into CUDA kernels and their launches, by the passes of pipeline.ts in order, with
 * the verifier after each.
 * @param dims a value for every symbol of the graph.
 * @throws HydrantError `ir/verify`, `codegen/verify` naming pass and node; RangeError for a symbol
 *   without a value.
 */
export function compileStages(graph: Graph, dims: DimBindings, target: Target): Compilation {
  const options = { dims, target };
  let lowered = graph;
  for (const pass of graphPasses) {
    lowered = pass.run(lowered, options);
    verifyGraph(lowered, pass.name);
  }
  let fused = groupStage.run(lowered);
  verifyFusedGraph(fused, groupStage.name);
  for (const pass of fusionPasses) {
    fused = pass.run(fused, options);
    verifyFusedGraph(fused, pass.name);
  }
  let program = lowerStage.run(fused, options);
  for (const pass of programPasses) program = pass.run(program, options);
  return { graph: lowered, fused, program };
}

/** The last stage of `compileStages` alone. */
export function compileGraph(graph: Graph, dims: DimBindings, target: Target): Program {
  return compileStages(graph, dims, target).program;
}

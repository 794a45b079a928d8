import { describe, expect, it } from "vitest";
import { groupNodes } from "../../../codegen/passes/group-nodes.ts";
import { bindDims } from "../../../codegen/passes/bind-dims.ts";
import { canonicalise } from "../../../codegen/passes/canonicalise.ts";
import { eliminateDeadCode } from "../../../codegen/passes/eliminate-dead-code.ts";
import { foldConstants } from "../../../codegen/passes/fold-constants.ts";
import { fuseEpilogues } from "../../../codegen/passes/fuse-epilogues.ts";
import { fuseHistory } from "../../../codegen/passes/fuse-history.ts";
import { fuseNorms } from "../../../codegen/passes/fuse-norms.ts";
import { fuseRopeCache } from "../../../codegen/passes/fuse-rope-cache.ts";
import { fuseTopk } from "../../../codegen/passes/fuse-topk.ts";
import { materialise } from "../../../codegen/passes/materialise.ts";
import { mergeCommits } from "../../../codegen/passes/merge-commits.ts";
import { narrowActivations } from "../../../codegen/passes/narrow-activations.ts";
import { pairLinears } from "../../../codegen/passes/pair-linears.ts";
import {
  type FusedGraph,
  printFusedGraph,
  verifyFusedGraph,
} from "../../../codegen/fused-graph.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { parseGraph } from "../../../src/ir/parse.ts";
import { printGraph } from "../../../src/ir/print.ts";
import type { Target } from "../../../src/ir/program.ts";
import { verifyGraph } from "../../../src/ir/verify.ts";

const target: Target = {
  capability: 90,
  arch: "sm_90a",
  nvrtcMajor: 13,
  multiprocessors: 132,
  activations: "stored",
};

function rewritten(text: string, pass: (graph: Graph) => Graph): string {
  const graph = parseGraph(text);
  verifyGraph(graph, "the test");
  const out = pass(graph);
  verifyGraph(out, "the pass");
  return `\n${printGraph(out)}`;
}

/** The groups after some passes. */
function fused(text: string, ...passes: ((fused: FusedGraph) => FusedGraph)[]): string {
  const graph = parseGraph(text);
  verifyGraph(graph, "the test");
  let out = groupNodes(graph);
  for (const pass of passes) {
    out = pass(out);
    verifyFusedGraph(out, pass.name);
  }
  return `\n${printFusedGraph(out)}`;
}

describe("graph passes", () => {
  it("bind-dims replaces symbols by numbers", () => {
    expect(
      rewritten(
        `graph g
          %0 = input "x" : f32[rows, 8]
          %1 = state "n" : i32[1]
          %2 = iota {size: "rows"} : i32[rows]
          %3 = add %2, %1 : i32[rows]
          %4 = reshape %0 {shape: ["rows",2,4]} : f32[rows, 2, 4]
          output "p" = %3
          output "y" = %4`,
        (graph) => bindDims(graph, { rows: 3 }),
      ),
    ).toMatchInlineSnapshot(`
      "
      graph g
        %0 = input "x" : f32[3, 8]
        %1 = state "n" : i32[1]
        %2 = iota {size: 3} : i32[3]
        %3 = add %2, %1 : i32[3]
        %4 = reshape %0 {shape: [3,2,4]} : f32[3, 2, 4]
        output "p" = %3
        output "y" = %4
      "
    `);
  });

  it("canonicalise merges views and equal nodes", () => {
    expect(
      rewritten(
        `graph g
          %0 = input "x" : f32[2, 8]
          %1 = reshape %0 {shape: [2,2,4]} : f32[2, 2, 4]
          %2 = reshape %1 {shape: [4,4]} : f32[4, 4]
          %3 = reshape %0 {shape: [4,4]} : f32[4, 4]
          %4 = reshape %2 {shape: [2,8]} : f32[2, 8]
          %5 = add %2, %3 : f32[4, 4]
          output "y" = %5
          output "z" = %4`,
        (graph) => eliminateDeadCode(canonicalise(graph)),
      ),
    ).toMatchInlineSnapshot(`
      "
      graph g
        %0 = input "x" : f32[2, 8]
        %2 = reshape %0 {shape: [4,4]} : f32[4, 4]
        %3 = add %2, %2 : f32[4, 4]
        output "y" = %3
        output "z" = %0
      "
    `);
  });

  it("fold-constants does index arithmetic and drops zeros", () => {
    expect(
      rewritten(
        `graph g
          %0 = state "length" : i32[1]
          %1 = constant {data: [0,1,1]} : i32[3]
          %2 = constant {data: [2,0]} : i32[2]
          %3 = gather %1, %2 : i32[2]
          %4 = constant {data: [0]} : i32[1]
          %5 = add %0, %4 : i32[1]
          %6 = concat %3, %1 {axis: 0} : i32[5]
          output "y" = %6
          output "n" = %5`,
        (graph) => eliminateDeadCode(foldConstants(graph)),
      ),
    ).toMatchInlineSnapshot(`
      "
      graph g
        %0 = state "length" : i32[1]
        %5 = constant {data: [1,0,0,1,1]} : i32[5]
        output "y" = %5
        output "n" = %0
      "
    `);
  });

  it("eliminate-dead-code keeps writes to caches", () => {
    expect(
      rewritten(
        `graph g
          %0 = state "kv" : f32[9, 4]
          %1 = state "n" : i32[1]
          %2 = input "x" : f32[2, 4]
          %3 = silu %2 : f32[2, 4]
          %4 = silu %3 : f32[2, 4]
          %5 = cache_write %0, %3, %1 : f32[9, 4]`,
        eliminateDeadCode,
      ),
    ).toMatchInlineSnapshot(`
      "
      graph g
        %0 = state "kv" : f32[9, 4]
        %1 = state "n" : i32[1]
        %2 = input "x" : f32[2, 4]
        %3 = silu %2 : f32[2, 4]
        %5 = cache_write %0, %3, %1 : f32[9, 4]
      "
    `);
  });

  const product = `graph g
          %0 = input "x" : f32[2, 32]
          %1 = parameter "w" : bf16[8, 32]
          %2 = parameter "v" : f32[8, 32]
          %3 = linear %0, %1 : f32[2, 8]
          %4 = linear %0, %2 : f32[2, 8]
          %5 = linear %0, %1 : f32[2, 8]
          output "a" = %3
          output "b" = %4
          output "c" = %5`;

  it("narrow-activations rounds once what 16-bit weights multiply", () => {
    expect(rewritten(product, (graph) => narrowActivations(graph, target))).toMatchInlineSnapshot(`
      "
      graph g
        %0 = input "x" : f32[2, 32]
        %1 = parameter "w" : bf16[8, 32]
        %2 = parameter "v" : f32[8, 32]
        %3 = cast %0 {to: "bf16"} : bf16[2, 32]
        %4 = linear %3, %1 : f32[2, 8]
        %5 = linear %0, %2 : f32[2, 8]
        %6 = linear %3, %1 : f32[2, 8]
        output "a" = %4
        output "b" = %5
        output "c" = %6
      "
    `);
  });

  it("narrow-activations changes nothing where activations stay f32", () => {
    const f32 = rewritten(product, (graph) =>
      narrowActivations(graph, { ...target, activations: "f32" }),
    );
    expect(f32).toBe(rewritten(product, (graph) => graph));
  });
});

const attentionInputs = `graph g
          %0 = input "x" : bf16[2, 64]
          %1 = parameter "q" : bf16[64, 64]
          %2 = parameter "k" : bf16[32, 64]
          %3 = parameter "v" : bf16[32, 64]
          %4 = state "kv.k" : bf16[99, 2, 16]
          %5 = state "kv.v" : bf16[99, 2, 16]
          %6 = state "length" : i32[1]
          %7 = constant {data: [0,1]} : i32[2]
          %8 = add %7, %6 : i32[2]
          %9 = constant {data: [1,0.5,0.25,0.125,0.1,0.2,0.3,0.4]} : f32[8]
          %10 = linear %0, %1 : f32[2, 64]
          %11 = reshape %10 {shape: [2,4,16]} : f32[2, 4, 16]
          %12 = rope %11, %8, %9 : f32[2, 4, 16]
          %13 = linear %0, %2 : f32[2, 32]
          %14 = linear %0, %3 : f32[2, 32]
          %15 = reshape %13 {shape: [2,2,16]} : f32[2, 2, 16]
          %16 = rope %15, %8, %9 : f32[2, 2, 16]
          %17 = cache_write %4, %16, %6 : bf16[99, 2, 16]
          %18 = reshape %14 {shape: [2,2,16]} : f32[2, 2, 16]
          %19 = cache_write %5, %18, %6 : bf16[99, 2, 16]
          %20 = cast %12 {to: "bf16"} : bf16[2, 4, 16]
          %21 = attention %20, %17, %19, %6 {scale: 0.25, mask: "causal"} : f32[2, 4, 16]
          %22 = reshape %21 {shape: [2,64]} : f32[2, 64]
          %23 = cast %22 {to: "bf16"} : bf16[2, 64]
          update "kv.k" = %17
          update "kv.v" = %19
          output "y" = %23`;

describe("fusion passes", () => {
  it("fuse-rope-cache makes one product of the three projections", () => {
    expect(fused(attentionInputs, fuseRopeCache)).toMatchInlineSnapshot(`
      "
      rope_linear
        %10 = linear %0, %1 : f32[2, 64]
        %11 = reshape %10 {shape: [2,4,16]} : f32[2, 4, 16]
        %12 = rope %11, %8, %9 : f32[2, 4, 16]
        %13 = linear %0, %2 : f32[2, 32]
        %14 = linear %0, %3 : f32[2, 32]
        %15 = reshape %13 {shape: [2,2,16]} : f32[2, 2, 16]
        %16 = rope %15, %8, %9 : f32[2, 2, 16]
        %17 = cache_write %4, %16, %6 : bf16[99, 2, 16]
        %18 = reshape %14 {shape: [2,2,16]} : f32[2, 2, 16]
        %19 = cache_write %5, %18, %6 : bf16[99, 2, 16]
        %20 = cast %12 {to: "bf16"} : bf16[2, 4, 16]
      attention
        %21 = attention %20, %17, %19, %6 {scale: 0.25, mask: "causal"} : f32[2, 4, 16]
      inline
        %7 = constant {data: [0,1]} : i32[2]
        %8 = add %7, %6 : i32[2]
        %9 = constant {data: [1,0.5,0.25,0.125,0.1,0.2,0.3,0.4]} : f32[8]
        %22 = reshape %21 {shape: [2,64]} : f32[2, 64]
        %23 = cast %22 {to: "bf16"} : bf16[2, 64]
      "
    `);
  });

  it("fuse-epilogues lets attention store what the next product takes", () => {
    expect(fused(attentionInputs, fuseRopeCache, fuseEpilogues)).toMatchInlineSnapshot(`
      "
      rope_linear
        %10 = linear %0, %1 : f32[2, 64]
        %11 = reshape %10 {shape: [2,4,16]} : f32[2, 4, 16]
        %12 = rope %11, %8, %9 : f32[2, 4, 16]
        %13 = linear %0, %2 : f32[2, 32]
        %14 = linear %0, %3 : f32[2, 32]
        %15 = reshape %13 {shape: [2,2,16]} : f32[2, 2, 16]
        %16 = rope %15, %8, %9 : f32[2, 2, 16]
        %17 = cache_write %4, %16, %6 : bf16[99, 2, 16]
        %18 = reshape %14 {shape: [2,2,16]} : f32[2, 2, 16]
        %19 = cache_write %5, %18, %6 : bf16[99, 2, 16]
        %20 = cast %12 {to: "bf16"} : bf16[2, 4, 16]
      attention
        %21 = attention %20, %17, %19, %6 {scale: 0.25, mask: "causal"} : f32[2, 4, 16]
        %22 = reshape %21 {shape: [2,64]} : f32[2, 64]
        %23 = cast %22 {to: "bf16"} : bf16[2, 64]
      inline
        %7 = constant {data: [0,1]} : i32[2]
        %8 = add %7, %6 : i32[2]
        %9 = constant {data: [1,0.5,0.25,0.125,0.1,0.2,0.3,0.4]} : f32[8]
      "
    `);
  });

  it("fuse-rope-cache leaves alone a cache somebody still reads", () => {
    const text = attentionInputs.replace(
      '%20 = cast %12 {to: "bf16"} : bf16[2, 4, 16]',
      '%20 = cast %12 {to: "bf16"} : bf16[2, 4, 16]\n          %24 = gather %19, %7 : bf16[2, 2, 16]\n          output "old" = %24',
    );
    expect(fused(text, fuseRopeCache)).toContain("rope_linear");
    const early = text
      .replace("%24 = gather %19, %7 : bf16[2, 2, 16]", "")
      .replace(
        "%17 = cache_write",
        '%24 = gather %5, %7 : bf16[2, 2, 16]\n          %25 = cast %24 {to: "f32"} : f32[2, 2, 16]\n          %26 = add %25, %25 : f32[2, 2, 16]\n          %17 = cache_write',
      )
      .replace('output "old" = %24', 'output "old" = %26');
    expect(fused(early, fuseRopeCache)).not.toContain("rope_linear");
  });

  const mlp = `graph g
          %0 = input "x" : f32[2, 32]
          %1 = parameter "norm" : bf16[32]
          %2 = parameter "gate" : bf16[48, 32]
          %3 = parameter "up" : bf16[48, 32]
          %4 = parameter "down" : bf16[32, 48]
          %5 = parameter "o" : bf16[32, 32]
          %6 = cast %0 {to: "bf16"} : bf16[2, 32]
          %7 = linear %6, %5 : f32[2, 32]
          %8 = add %0, %7 : f32[2, 32]
          %9 = rms_norm %8, %1 {eps: 0.00001} : f32[2, 32]
          %10 = cast %9 {to: "bf16"} : bf16[2, 32]
          %11 = linear %10, %2 : f32[2, 48]
          %12 = silu %11 : f32[2, 48]
          %13 = linear %10, %3 : f32[2, 48]
          %14 = mul %12, %13 : f32[2, 48]
          %15 = cast %14 {to: "bf16"} : bf16[2, 48]
          %16 = linear %15, %4 : f32[2, 32]
          %17 = add %8, %16 : f32[2, 32]
          output "y" = %17`;

  it("pair-linears and fuse-epilogues make one kernel of gate, up and what follows", () => {
    expect(fused(mlp, pairLinears, fuseEpilogues)).toMatchInlineSnapshot(`
      "
      linear
        %7 = linear %6, %5 : f32[2, 32]
        %8 = add %0, %7 : f32[2, 32]
      rms_norm
        %9 = rms_norm %8, %1 {eps: 0.00001} : f32[2, 32]
        %10 = cast %9 {to: "bf16"} : bf16[2, 32]
      linear
        %11 = linear %10, %2 : f32[2, 48]
        %12 = silu %11 : f32[2, 48]
        %13 = linear %10, %3 : f32[2, 48]
        %14 = mul %12, %13 : f32[2, 48]
        %15 = cast %14 {to: "bf16"} : bf16[2, 48]
      linear
        %16 = linear %15, %4 : f32[2, 32]
        %17 = add %8, %16 : f32[2, 32]
      inline
        %6 = cast %0 {to: "bf16"} : bf16[2, 32]
      "
    `);
  });

  it("fuse-norms leaves no kernel for a norm between two products", () => {
    expect(fused(mlp, pairLinears, fuseEpilogues, fuseNorms)).toMatchInlineSnapshot(`
      "
      linear
        %7 = linear %6, %5 : f32[2, 32]
        %8 = add %0, %7 : f32[2, 32]
        %9 = rms_norm %8, %1 {eps: 0.00001} : f32[2, 32]
        %10 = cast %9 {to: "bf16"} : bf16[2, 32]
      linear
        %11 = linear %10, %2 : f32[2, 48]
        %12 = silu %11 : f32[2, 48]
        %13 = linear %10, %3 : f32[2, 48]
        %14 = mul %12, %13 : f32[2, 48]
        %15 = cast %14 {to: "bf16"} : bf16[2, 48]
      linear
        %16 = linear %15, %4 : f32[2, 32]
        %17 = add %8, %16 : f32[2, 32]
      inline
        %6 = cast %0 {to: "bf16"} : bf16[2, 32]
      "
    `);
  });

  it("fuse-norms keeps a norm whose unscaled rows f16 could not hold", () => {
    const f16 = mlp.replaceAll("bf16", "f16");
    expect(fused(f16, pairLinears, fuseEpilogues, fuseNorms)).toContain("\nrms_norm\n");
  });

  it("fuse-norms keeps a norm that others see", () => {
    const seen = `${mlp}\n          output "normed" = %9`;
    expect(fused(seen, pairLinears, fuseEpilogues, fuseNorms)).toContain("\nrms_norm\n");
  });

  it("materialise gives memory to rows a product reads", () => {
    expect(fused(mlp, pairLinears, fuseEpilogues, fuseNorms, materialise)).toContain(
      '\nelementwise\n  %6 = cast %0 {to: "bf16"} : bf16[2, 32]\n',
    );
  });

  it("fuse-topk joins a product and the ranking of its outputs", () => {
    expect(
      fused(
        `graph g
          %0 = input "x" : bf16[2, 32]
          %1 = parameter "head" : bf16[500, 32]
          %2 = linear %0, %1 : f32[2, 500]
          %3, %4 = topk %2 {k: 3} : f32[2, 3], i32[2, 3]
          output "ids" = %4`,
        fuseTopk,
      ),
    ).toMatchInlineSnapshot(`
      "
      topk_linear
        %2 = linear %0, %1 : f32[2, 500]
        %3, %4 = topk %2 {k: 3} : f32[2, 3], i32[2, 3]
      "
    `);
  });

  const history = `graph g
          %0 = state "history" : i32[99]
          %1 = state "length" : i32[1]
          %2 = input "tokens" : i32[3]
          %3 = parameter "embed" : bf16[500, 32]
          %4 = parameter "norm" : bf16[32]
          %5 = embedding %3, %2 : f32[3, 32]
          %6 = rms_norm %5, %4 {eps: 0.00001} : f32[3, 32]
          %7 = cache_write %0, %2, %1 : i32[99]
          update "history" = %7
          output "y" = %6`;

  it("fuse-history writes tokens where they are embedded", () => {
    expect(fused(history, fuseHistory)).toMatchInlineSnapshot(`
      "
      embedding
        %5 = embedding %3, %2 : f32[3, 32]
        %7 = cache_write %0, %2, %1 : i32[99]
      rms_norm
        %6 = rms_norm %5, %4 {eps: 0.00001} : f32[3, 32]
      "
    `);
  });

  it("merge-commits moves the rows of all caches together", () => {
    expect(
      fused(
        `graph g
          %0 = state "a" : bf16[99, 4]
          %1 = state "b" : bf16[99, 4]
          %2 = input "path" : i32[3]
          %3 = input "count" : i32[1]
          %4 = state "length" : i32[1]
          %5 = cache_commit %0, %2, %3, %4 : bf16[99, 4]
          %6 = cache_commit %1, %2, %3, %4 : bf16[99, 4]
          update "a" = %5
          update "b" = %6`,
        mergeCommits,
      ),
    ).toMatchInlineSnapshot(`
      "
      cache_commit
        %5 = cache_commit %0, %2, %3, %4 : bf16[99, 4]
        %6 = cache_commit %1, %2, %3, %4 : bf16[99, 4]
      "
    `);
  });

  it("materialise saves rows of a cache from being written over", () => {
    const text = `graph g
          %0 = state "log" : f32[99, 4]
          %1 = input "index" : i32[2]
          %2 = state "length" : i32[1]
          %3 = gather %0, %1 : f32[2, 4]
          %4 = cache_write %0, %3, %2 : f32[99, 4]
          update "log" = %4
          output "rows" = %3`;
    expect(fused(text, materialise)).toMatchInlineSnapshot(`
      "
      elementwise
        %3 = gather %0, %1 : f32[2, 4]
      cache_write
        %4 = cache_write %0, %3, %2 : f32[99, 4]
      "
    `);
  });
});

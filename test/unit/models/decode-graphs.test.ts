import { describe, expect, it } from "vitest";
import { hydra } from "../../../src/drafters/hydra.ts";
import { noDrafter } from "../../../src/drafters/none.ts";
import { parseGraph } from "../../../src/ir/parse.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { verifyGraph } from "../../../src/ir/verify.ts";
import { buildPrefill, buildStep } from "../../../src/models/decode-graphs.ts";
import type { BaseModel } from "../../../src/models/llama.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";
import { rootOnly, treeFromPaths } from "../../../src/speculation/tree.ts";
import { Random } from "../../helpers/random.ts";
import { drafterKinds, drafterOf, randomModel, randomTree } from "../../helpers/random-model.ts";

const model: BaseModel = {
  config: {
    architecture: "llama",
    vocabSize: 32,
    hiddenSize: 8,
    intermediateSize: 12,
    layers: 1,
    heads: 2,
    kvHeads: 1,
    headDim: 4,
    rmsNormEps: 1e-5,
    maxPositions: 64,
    rope: { theta: 10000, scaling: { type: "default" } },
    tieWordEmbeddings: false,
    qkvBias: false,
    outputBias: false,
    mlpBias: false,
    eosTokenIds: [],
  },
  storedType: () => "bf16",
  cacheType: "f32",
};

describe("the graphs of generation", () => {
  it("absorb a prompt without an LM head", () => {
    expect(printGraph(buildPrefill(model, noDrafter()))).toMatchInlineSnapshot(`
      "graph prefill
        %0 = input "tokens" : i32[rows]
        %1 = input "following" : i32[rows]
        %2 = input "count" : i32[1]
        %3 = state "length" : i32[1]
        %6 = parameter "model.embed_tokens.weight" : bf16[32, 8]
        %8 = parameter "model.layers.0.input_layernorm.weight" : bf16[8]
        %10 = parameter "model.layers.0.self_attn.q_proj.weight" : bf16[8, 8]
        %15 = parameter "model.layers.0.self_attn.k_proj.weight" : bf16[4, 8]
        %17 = parameter "model.layers.0.self_attn.v_proj.weight" : bf16[4, 8]
        %21 = state "kv.0.k" : f32[capacity, 1, 4]
        %23 = state "kv.0.v" : f32[capacity, 1, 4]
        %28 = parameter "model.layers.0.self_attn.o_proj.weight" : bf16[8, 8]
        %31 = parameter "model.layers.0.post_attention_layernorm.weight" : bf16[8]
        %33 = parameter "model.layers.0.mlp.gate_proj.weight" : bf16[12, 8]
        %35 = parameter "model.layers.0.mlp.up_proj.weight" : bf16[12, 8]
        %39 = parameter "model.layers.0.mlp.down_proj.weight" : bf16[8, 12]
        %42 = parameter "model.norm.weight" : bf16[8]
        %44 = state "history" : i32[capacity]
        %4 = iota {size: "rows"} : i32[rows]
        %5 = add %4, %3 : i32[rows]
        %7 = embedding %6, %0 : f32[rows, 8]  # embed_tokens
        %9 = rms_norm %7, %8 {eps: 0.00001} : f32[rows, 8]  # layers.0.input_layernorm
        %11 = linear %9, %10 : f32[rows, 8]  # layers.0.q_proj
        %12 = reshape %11 {shape: ["rows",2,4]} : f32[rows, 2, 4]  # layers.0.reshape
        %13 = constant {data: [1,0.01]} : f32[2]
        %14 = rope %12, %5, %13 : f32[rows, 2, 4]  # layers.0.rope
        %16 = linear %9, %15 : f32[rows, 4]  # layers.0.k_proj
        %18 = linear %9, %17 : f32[rows, 4]  # layers.0.v_proj
        %19 = reshape %16 {shape: ["rows",1,4]} : f32[rows, 1, 4]  # layers.0.reshape
        %20 = rope %19, %5, %13 : f32[rows, 1, 4]  # layers.0.rope
        %22 = cache_write %21, %20, %3 : f32[capacity, 1, 4]  # layers.0.write_keys
        %24 = reshape %18 {shape: ["rows",1,4]} : f32[rows, 1, 4]  # layers.0.reshape
        %25 = cache_write %23, %24, %3 : f32[capacity, 1, 4]  # layers.0.write_values
        %26 = attention %14, %22, %25, %3 {scale: 0.5, mask: "causal"} : f32[rows, 2, 4]  # layers.0.attention
        %27 = reshape %26 {shape: ["rows",8]} : f32[rows, 8]  # layers.0.reshape
        %29 = linear %27, %28 : f32[rows, 8]  # layers.0.o_proj
        %30 = add %7, %29 : f32[rows, 8]  # layers.0.attention_residual
        %32 = rms_norm %30, %31 {eps: 0.00001} : f32[rows, 8]  # layers.0.post_attention_layernorm
        %34 = linear %32, %33 : f32[rows, 12]  # layers.0.gate_proj
        %36 = linear %32, %35 : f32[rows, 12]  # layers.0.up_proj
        %37 = silu %34 : f32[rows, 12]  # layers.0.silu
        %38 = mul %37, %36 : f32[rows, 12]  # layers.0.gate_times_up
        %40 = linear %38, %39 : f32[rows, 8]  # layers.0.down_proj
        %41 = add %30, %40 : f32[rows, 8]  # layers.0.mlp_residual
        %43 = rms_norm %41, %42 {eps: 0.00001} : f32[rows, 8]  # norm
        %45 = cache_write %44, %0, %3 : i32[capacity]  # history
        %46 = constant {data: [-1]} : i32[1]
        %47 = add %2, %46 : i32[1]
        %48 = add %3, %2 : i32[1]
        update "kv.0.k" = %22
        update "kv.0.v" = %25
        update "history" = %45
        update "length" = %48
      "
    `);
  });

  it("draft, verify, accept and commit in one step", () => {
    const heads = {
      arch: "mlp",
      numHeads: 2,
      numLayers: 1,
      grounded: true,
      hiddenStateOffset: 0,
    } as const;
    const tree = treeFromPaths([[0], [1], [0, 0]]);
    expect(printGraph(buildStep(model, hydra(model, heads), tree))).toMatchInlineSnapshot(`
      "graph step
        %0 = state "length" : i32[1]
        %1 = state "root" : i32[1]
        %2 = input "sampling" : f32[7]
        %3 = input "seed" : u64[1]
        %4 = state "draft.hidden" : f32[1, 8]
        %5 = parameter "model.embed_tokens.weight" : bf16[32, 8]
        %8 = parameter "heads.hydra_mlp.0.0.res_connection.weight" : bf16[8, 16]
        %9 = parameter "heads.hydra_mlp.0.0.res_connection.bias" : bf16[8]
        %11 = parameter "heads.hydra_mlp.0.0.linear.weight" : bf16[8, 16]
        %12 = parameter "heads.hydra_mlp.0.0.linear.bias" : bf16[8]
        %16 = parameter "heads.hydra_lm_head.0.weight" : bf16[32, 8]
        %17 = parameter "heads.hydra_lm_head.0.bias" : bf16[32]
        %29 = parameter "heads.hydra_mlp.1.0.res_connection.weight" : bf16[8, 24]
        %30 = parameter "heads.hydra_mlp.1.0.res_connection.bias" : bf16[8]
        %32 = parameter "heads.hydra_mlp.1.0.linear.weight" : bf16[8, 24]
        %33 = parameter "heads.hydra_mlp.1.0.linear.bias" : bf16[8]
        %37 = parameter "heads.hydra_lm_head.1.weight" : bf16[32, 8]
        %38 = parameter "heads.hydra_lm_head.1.bias" : bf16[32]
        %49 = parameter "model.layers.0.input_layernorm.weight" : bf16[8]
        %51 = parameter "model.layers.0.self_attn.q_proj.weight" : bf16[8, 8]
        %56 = parameter "model.layers.0.self_attn.k_proj.weight" : bf16[4, 8]
        %58 = parameter "model.layers.0.self_attn.v_proj.weight" : bf16[4, 8]
        %62 = state "kv.0.k" : f32[capacity, 1, 4]
        %64 = state "kv.0.v" : f32[capacity, 1, 4]
        %69 = parameter "model.layers.0.self_attn.o_proj.weight" : bf16[8, 8]
        %72 = parameter "model.layers.0.post_attention_layernorm.weight" : bf16[8]
        %74 = parameter "model.layers.0.mlp.gate_proj.weight" : bf16[12, 8]
        %76 = parameter "model.layers.0.mlp.up_proj.weight" : bf16[12, 8]
        %80 = parameter "model.layers.0.mlp.down_proj.weight" : bf16[8, 12]
        %83 = parameter "model.norm.weight" : bf16[8]
        %85 = parameter "lm_head.weight" : bf16[32, 8]
        %87 = state "history" : i32[capacity]
        %6 = embedding %5, %1 : f32[1, 8]  # embed_tokens
        %7 = concat %4, %6 {axis: 1} : f32[1, 16]  # draft.rows
        %10 = linear %7, %8, %9 : f32[1, 8]  # draft.0.res_connection
        %13 = linear %7, %11, %12 : f32[1, 8]  # draft.0.linear
        %14 = silu %13 : f32[1, 8]  # draft.0.silu
        %15 = add %10, %14 : f32[1, 8]  # draft.0.residual
        %18 = linear %15, %16, %17 : f32[1, 32]  # draft.0.lm_head
        %19, %20 = topk %18 {k: 2} : f32[1, 2], i32[1, 2]  # draft.0.candidates
        %21 = reshape %20 {shape: [2]} : i32[2]  # draft.0.reshape
        %22 = constant {data: [0,1]} : i32[2]
        %23 = gather %21, %22 : i32[2]  # draft.0.tokens
        %24 = constant {data: [0]} : i32[1]
        %25 = gather %23, %24 : i32[1]  # draft.0.expanded_tokens
        %26 = embedding %5, %25 : f32[1, 8]  # draft.0.embed_tokens
        %27 = gather %7, %24 : f32[1, 16]  # draft.0.parent_rows
        %28 = concat %27, %26 {axis: 1} : f32[1, 24]  # draft.0.rows
        %31 = linear %28, %29, %30 : f32[1, 8]  # draft.1.res_connection
        %34 = linear %28, %32, %33 : f32[1, 8]  # draft.1.linear
        %35 = silu %34 : f32[1, 8]  # draft.1.silu
        %36 = add %31, %35 : f32[1, 8]  # draft.1.residual
        %39 = linear %36, %37, %38 : f32[1, 32]  # draft.1.lm_head
        %40, %41 = topk %39 {k: 1} : f32[1, 1], i32[1, 1]  # draft.1.candidates
        %42 = reshape %41 {shape: [1]} : i32[1]  # draft.1.reshape
        %43 = gather %42, %24 : i32[1]  # draft.1.tokens
        %44 = concat %1, %23, %43 {axis: 0} : i32[4]  # draft.tokens
        %45 = constant {data: [0,1,1,2]} : i32[4]
        %46 = add %45, %0 : i32[4]
        %47 = constant {data: ["1","3","5","11"]} : u64[4, 1]
        %48 = embedding %5, %44 : f32[4, 8]  # embed_tokens
        %50 = rms_norm %48, %49 {eps: 0.00001} : f32[4, 8]  # layers.0.input_layernorm
        %52 = linear %50, %51 : f32[4, 8]  # layers.0.q_proj
        %53 = reshape %52 {shape: [4,2,4]} : f32[4, 2, 4]  # layers.0.reshape
        %54 = constant {data: [1,0.01]} : f32[2]
        %55 = rope %53, %46, %54 : f32[4, 2, 4]  # layers.0.rope
        %57 = linear %50, %56 : f32[4, 4]  # layers.0.k_proj
        %59 = linear %50, %58 : f32[4, 4]  # layers.0.v_proj
        %60 = reshape %57 {shape: [4,1,4]} : f32[4, 1, 4]  # layers.0.reshape
        %61 = rope %60, %46, %54 : f32[4, 1, 4]  # layers.0.rope
        %63 = cache_write %62, %61, %0 : f32[capacity, 1, 4]  # layers.0.write_keys
        %65 = reshape %59 {shape: [4,1,4]} : f32[4, 1, 4]  # layers.0.reshape
        %66 = cache_write %64, %65, %0 : f32[capacity, 1, 4]  # layers.0.write_values
        %67 = attention %55, %63, %66, %0, %47 {scale: 0.5, mask: "tree"} : f32[4, 2, 4]  # layers.0.attention
        %68 = reshape %67 {shape: [4,8]} : f32[4, 8]  # layers.0.reshape
        %70 = linear %68, %69 : f32[4, 8]  # layers.0.o_proj
        %71 = add %48, %70 : f32[4, 8]  # layers.0.attention_residual
        %73 = rms_norm %71, %72 {eps: 0.00001} : f32[4, 8]  # layers.0.post_attention_layernorm
        %75 = linear %73, %74 : f32[4, 12]  # layers.0.gate_proj
        %77 = linear %73, %76 : f32[4, 12]  # layers.0.up_proj
        %78 = silu %75 : f32[4, 12]  # layers.0.silu
        %79 = mul %78, %77 : f32[4, 12]  # layers.0.gate_times_up
        %81 = linear %79, %80 : f32[4, 8]  # layers.0.down_proj
        %82 = add %71, %81 : f32[4, 8]  # layers.0.mlp_residual
        %84 = rms_norm %82, %83 {eps: 0.00001} : f32[4, 8]  # norm
        %86 = linear %84, %85 : f32[4, 32]  # verify.lm_head
        %88 = cache_write %87, %44, %0 : i32[capacity]  # history
        %89 = constant {data: [-1,0,0,1]} : i32[4]
        %90, %91, %92 = accept_match %86, %44, %89, %0, %88, %2, %3 {pathLength: 3} : i32[3], i32[1], i32[3]  # accept.accept_match
        %93 = cache_commit %63, %90, %91, %0 : f32[capacity, 1, 4]  # commit.kv.0.k
        %94 = cache_commit %66, %90, %91, %0 : f32[capacity, 1, 4]  # commit.kv.0.v
        %95 = cache_commit %88, %90, %91, %0 : i32[capacity]  # commit.history
        %96 = constant {data: [-1]} : i32[1]
        %97 = add %91, %96 : i32[1]
        %98 = gather %84, %90 : f32[3, 8]  # accepted_rows
        %99 = gather %98, %97 : f32[1, 8]  # draft.hidden
        %100 = gather %92, %97 : i32[1]
        %101 = add %0, %91 : i32[1]
        update "kv.0.k" = %93
        update "kv.0.v" = %94
        update "history" = %95
        update "draft.hidden" = %99
        update "root" = %100
        update "length" = %101
        output "tree" = %44
        output "path" = %90
        output "count" = %91
        output "following" = %92
      "
    `);
  });

  it.each(drafterKinds)("verify and survive printing with %s heads on random shapes", (kind) => {
    for (let seed = 0; seed < 5; seed++) {
      const random = new Random(seed);
      const shape = randomModel(random);
      const drafter = drafterOf(kind, shape);
      const trees = [
        rootOnly,
        randomTree(random, 12),
        randomTree(random, 70),
        namedTree("mc_sim_7b_63"),
      ];
      for (const graph of [
        buildPrefill(shape, drafter),
        ...trees.map((tree) => buildStep(shape, drafter, tree)),
      ]) {
        verifyGraph(graph);
        const text = printGraph(graph);
        const parsed = parseGraph(text);
        verifyGraph(parsed);
        expect(printGraph(parsed)).toBe(text);
      }
    }
  });
});

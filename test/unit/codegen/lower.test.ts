import { describe, expect, it } from "vitest";
import { compileGraph } from "../../../codegen/compile.ts";
import { describeSynthetic } from "../../../src/api/synthetic-model.ts";
import { noDrafter } from "../../../src/drafters/none.ts";
import type { Drafter } from "../../../src/speculation/drafter.ts";
import { parseGraph } from "../../../src/ir/parse.ts";
import type { Program, Target } from "../../../src/ir/program.ts";
import { buildStep } from "../../../src/models/decode-graphs.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";
import { rootOnly } from "../../../src/speculation/tree.ts";

const target: Target = {
  capability: 90,
  arch: "sm_90a",
  nvrtcMajor: 13,
  multiprocessors: 132,
  activations: "stored",
};

const compile = (text: string): Program => compileGraph(parseGraph(text), {}, target);

/** The entry of every kernel of a family: what is written for one graph, below the fixed body. */
function entries(program: Program, family: string): string {
  return `\n${program.kernels
    .filter((kernel) => kernel.family === family)
    .map(({ source, entry }) => {
      const from = source.indexOf('extern "C"');
      return source.slice(from).replaceAll(entry, "KERNEL");
    })
    .join("\n")}`;
}

describe("generated text", () => {
  it("computes index arithmetic, gathers and concatenations where they are used", () => {
    const program = compile(`graph g
      %0 = input "x" : f32[4, 8]
      %1 = input "y" : f32[2, 3]
      %2 = state "length" : i32[1]
      %3 = constant {data: [0,2]} : i32[2]
      %4 = add %3, %2 : i32[2]
      %5 = gather %0, %4 : f32[2, 8]
      %6 = concat %5, %1 {axis: 1} : f32[2, 11]
      %7 = parameter "w" : bf16[16, 11]
      %8 = linear %6, %7 : f32[2, 16]
      output "out" = %8`);
    expect(entries(program, "elementwise")).toMatchInlineSnapshot(`
      "
      extern "C" __global__ void __launch_bounds__(256)
      KERNEL(bf16* out, int elements, const float* in_x, const int* in_constant, const int* in_length, const float* in_y) {
        grid_launch_dependents();
        grid_dependency_wait();
        const auto f_add = [=](int i) -> int { return in_constant[i] + in_length[0]; };
        const auto f_gather = [=](int i) -> float { return in_x[f_add(i / 8) * 8 + i % 8]; };
        const auto f_concat = [=](int i) -> float { return i % 11 < 8 ? f_gather(i / 11 * 8 + (i % 11 - 0)) : in_y[i / 11 * 3 + (i % 11 - 8)]; };
        const auto f_cast = [=](int i) -> bf16 { return from_float<bf16>(f_concat(i)); };
        elementwise(out, elements, [=](int i) { return f_cast(i); });
      }
      "
    `);
  });

  it("stores a residual and what its norm lets through from one epilogue", () => {
    const program = compile(`graph g
      %0 = input "x" : f32[2, 64]
      %1 = input "attended" : f32[2, 64]
      %2 = parameter "o" : bf16[64, 64]
      %3 = parameter "norm" : bf16[64]
      %4 = parameter "head" : bf16[32, 64]
      %5 = linear %1, %2 : f32[2, 64]
      %6 = add %0, %5 : f32[2, 64]
      %7 = rms_norm %6, %3 {eps: 0.00001} : f32[2, 64]
      %8 = linear %7, %4 : f32[2, 32]
      output "y" = %6
      output "z" = %8`);
    expect(entries(program, "linear")).toMatchInlineSnapshot(`
      "
      extern "C" __global__ void __launch_bounds__(160, 1)
      KERNEL(const __grid_constant__ Table<const bf16, 1> weights, const __grid_constant__ TensorMap x, int rows, const float* in_x, float* __restrict__ out, const bf16* norm_weight, bf16* __restrict__ normed, float* __restrict__ squares) {
        grid_launch_dependents();
        start_weights<Config>(weights, x, rows);
        grid_dependency_wait();
        const auto bias_of = [&](int weight, int output) { return 0.0f; };
        const auto epilogue = elementwise_epilogue<2>(
            [&](int row, int column, const float (&values)[1]) {
              const float v1 = in_x[row * 64 + column] + values[0];
              out[row * 64 + column] = v1;
              const float squared = v1;
              normed[row * 64 + column] = from_float<bf16>(squared * to_float(norm_weight[column]));
              return squared;
            }, squares);
        linear_warpgroups<Config>(weights, x, rows, nullptr, bias_of, epilogue);
      }

      extern "C" __global__ void __launch_bounds__(160, 1)
      KERNEL(const __grid_constant__ Table<const bf16, 1> weights, const __grid_constant__ TensorMap x, int rows, const float* sums, float* __restrict__ out) {
        grid_launch_dependents();
        start_weights<Config>(weights, x, rows);
        grid_dependency_wait();
        const auto bias_of = [&](int weight, int output) { return 0.0f; };
        const auto epilogue = elementwise_epilogue<0>(
            [&](int row, int column, const float (&values)[1]) {
              out[row * 32 + column] = values[0];
              return 0.0f;
            }, nullptr);
        linear_warpgroups<Config>(weights, x, rows, sums, bias_of, epilogue);
      }
      "
    `);
  });

  it("reads small states before it writes any, and publishes outputs last", () => {
    const program = compile(`graph g
      %0 = state "length" : i32[1]
      %1 = input "count" : i32[1]
      %2 = input "following" : i32[5]
      %3 = constant {data: [-1]} : i32[1]
      %4 = add %1, %3 : i32[1]
      %5 = gather %2, %4 : i32[1]
      %6 = add %0, %1 : i32[1]
      %7 = state "root" : i32[1]
      update "length" = %6
      update "root" = %5
      output "following" = %2`);
    expect(entries(program, "finish")).toMatchInlineSnapshot(`
      "
      extern "C" __global__ void __launch_bounds__(256)
      KERNEL(const int* in_length, const int* in_count, const int* in_following, int* number, unsigned char* ring, int slot_bytes, int slots, int elements, int offset, int* state, int* state_1) {
        grid_launch_dependents();
        grid_dependency_wait();
        const auto f_add = [=](int i) -> int { return in_length[i] + in_count[i]; };
        const auto f_add_1 = [=](int i) -> int { return in_count[i] + -1; };
        const auto f_gather = [=](int i) -> int { return in_following[f_add_1(i)]; };
        const int filled = number[0];
        unsigned char* slot = ring + static_cast<size_t>(filled % slots) * slot_bytes;
        __shared__ Staged staged;
        evaluate<256, 0>(staged.update_0, 1, [&](int i) { return f_add(i); });
        evaluate<256, 1>(staged.update_1, 1, [&](int i) { return f_gather(i); });
        evaluate<256, 2>(reinterpret_cast<int*>(slot + offset), elements, [&](int i) { return in_following[i]; });
        __syncthreads();
        update_state<256>(state, staged.update_0);
        update_state<256>(state_1, staged.update_1);
        publish(slot, number, filled);
      }
      "
    `);
  });
});

describe("programs of published shapes", () => {
  const { base, drafter } = describeSynthetic("vicuna-7b", "hydra++", (weights) => weights);
  const dims = { capacity: 2112 };
  const families = (program: Program, first = "", last = "") => {
    const of = new Map(program.kernels.map(({ entry, family }) => [entry, family]));
    return program.launches
      .filter(({ label }) => label.includes(first) || label.includes(last))
      .map(({ kernel }) => of.get(kernel));
  };

  it("a decoder layer is five launches, and 32 layers share their kernels", () => {
    const plain = compileGraph(buildStep(base, drafter, rootOnly), dims, target);
    const layer = plain.launches.filter(({ label }) => label.startsWith("layers.7."));
    expect(layer.map(({ label }) => label)).toEqual([
      "layers.7.q_proj + reshape + rope + k_proj + v_proj + write_keys + write_values",
      "layers.7.attention + reshape",
      "layers.7.o_proj + attention_residual + post_attention_layernorm",
      "layers.7.gate_proj + up_proj + silu + gate_times_up",
      "layers.7.down_proj + mlp_residual + layers.8.input_layernorm",
    ]);
    expect(plain.kernels.length).toBeLessThan(24);
  });

  it("a plain step reads every weight of the base model once", () => {
    const plain = compileGraph(
      buildStep(base, { ...drafter, absorb: () => {} }, rootOnly),
      dims,
      target,
    );
    const weights = plain.launches.reduce((sum, { traffic }) => sum + traffic.weightBytes, 0);
    // The matrices of 32 layers, the output matrix, and one row of the embedding.
    const layer = 4 * 4096 * 4096 + 3 * 4096 * 11008;
    const expected = 2 * (32 * layer + 32000 * 4096 + 4096);
    expect(Math.abs(weights / expected - 1)).toBeLessThan(1e-5);
  });

  it("nothing element-wise stands alone in a Hydra++ step but the rows put together for heads", () => {
    const step = compileGraph(buildStep(base, drafter, namedTree("mc_sim_7b_63")), dims, target);
    const alone = step.launches.filter(({ kernel }) => kernel.startsWith("elementwise"));
    expect(alone).toHaveLength(4);
    expect(families(step, "accept", "finish")).toMatchInlineSnapshot(`
      [
        "accept",
        "rows",
        "finish",
      ]
    `);
    expect(step.launches.length).toBeLessThan(210);
  });

  it("nothing depends on the tree's tokens or the context's length but what is in device memory", () => {
    const once = compileGraph(buildStep(base, drafter, namedTree("mc_sim_7b_63")), dims, target);
    const again = compileGraph(buildStep(base, drafter, namedTree("mc_sim_7b_63")), dims, target);
    expect(again).toEqual(once);
  });
});

describe("what no kernel can do", () => {
  it("a tree deeper than attention takes is refused, with the node and what to do", () => {
    const { base } = describeSynthetic("demo", undefined, (weights) => weights);
    const zeros: Drafter = {
      ...noDrafter(),
      draft: (b, { size }) => b.constant("i32", new Array<number>(size).fill(0)),
    };
    const chain = (depth: number) =>
      compileGraph(buildStep(base, zeros, namedTree(`chain-${depth}`)), { capacity: 512 }, target);
    expect(() => chain(31)).not.toThrow();
    expect(() => chain(32)).toThrowErrorMatchingInlineSnapshot(
      `[HydrantError: Node 32 of the tree sees 33 nodes, itself included; a GPU's attention takes 32.]`,
    );
  });
});

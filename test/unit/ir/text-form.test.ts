import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../../../src/ir/builder.ts";
import { parseGraph } from "../../../src/ir/parse.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { tensor } from "../../../src/ir/shape.ts";
import { verifyGraph } from "../../../src/ir/verify.ts";

function small() {
  const b = new GraphBuilder("small");
  const ids = b.input("tokens", tensor("i32", "rows"));
  const x = b.embedding(b.parameter("embed", tensor("bf16", 16, 8)), ids, "embed");
  const normed = b.scope("layers.0", () =>
    b.rmsNorm(x, b.parameter("norm", tensor("f32", 8)), 1e-5, "norm"),
  );
  const length = b.state("length", tensor("i32", 1));
  const cache = b.state("kv", tensor("f32", "capacity", 2, 4));
  b.update("kv", b.cacheWrite(cache, b.reshape(normed, "rows", 2, 4), length));
  b.update("length", b.add(length, b.constant("i32", [1])));
  const { values, ids: best } = b.topk(normed, 3);
  b.output("best", best);
  b.output("scores", values);
  return b.finish();
}

describe("the text form of a graph", () => {
  it("reads like the model", () => {
    expect(printGraph(small())).toMatchInlineSnapshot(`
      "graph small
        %0 = input "tokens" : i32[rows]
        %1 = parameter "embed" : bf16[16, 8]
        %3 = parameter "norm" : f32[8]
        %5 = state "length" : i32[1]
        %6 = state "kv" : f32[capacity, 2, 4]
        %2 = embedding %1, %0 : f32[rows, 8]  # embed
        %4 = rms_norm %2, %3 {eps: 0.00001} : f32[rows, 8]  # layers.0.norm
        %7 = reshape %4 {shape: ["rows",2,4]} : f32[rows, 2, 4]
        %8 = cache_write %6, %7, %5 : f32[capacity, 2, 4]
        %9 = constant {data: [1]} : i32[1]
        %10 = add %5, %9 : i32[1]
        %11, %12 = topk %4 {k: 3} : f32[rows, 3], i32[rows, 3]
        update "kv" = %8
        update "length" = %10
        output "best" = %12
        output "scores" = %11
      "
    `);
  });

  it("is read back unchanged", () => {
    const text = printGraph(small());
    const graph = parseGraph(text);
    verifyGraph(graph);
    expect(printGraph(graph)).toBe(text);
  });

  it("keeps 64-bit mask words exact", () => {
    const b = new GraphBuilder("mask");
    b.output("mask", b.constantWords([0xffff_ffff_ffff_ffffn, 1n], [2, 1]));
    const text = printGraph(b.finish());
    expect(text).toContain("18446744073709551615");
    expect(printGraph(parseGraph(text))).toBe(text);
  });

  it("names the line it cannot read", () => {
    expect(() => parseGraph("graph g\n  %0 = frobnicate : f32[1]")).toThrow(
      /Line 2: there is no op "frobnicate"/,
    );
    expect(() => parseGraph("graph g\n  %0 = input tokens : i32[1]")).toThrow(
      /Line 2: expected a string/,
    );
    expect(() => parseGraph('graph g\n  output "x" = %0 junk')).toThrow(/unexpected "junk"/);
    expect(() => parseGraph("")).toThrow(/holds no graph/);
  });
});

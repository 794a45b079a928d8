import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../../../src/ir/builder.ts";
import { parseGraph } from "../../../src/ir/parse.ts";
import { tensor } from "../../../src/ir/shape.ts";
import { verifyGraph } from "../../../src/ir/verify.ts";

const verify = (body: string) => () => verifyGraph(parseGraph(`graph g\n${body}`), "test");

describe("the verifier", () => {
  it("accepts a well-formed graph", () => {
    expect(
      verify('%0 = input "x" : f32[rows, 4]\n%1 = silu %0 : f32[rows, 4]\noutput "y" = %1'),
    ).not.toThrow();
  });

  it("rejects a value used before it is defined", () => {
    expect(verify("%1 = silu %0 : f32[4]")).toThrow(/%0 is used before it is defined/);
  });

  it("rejects a value defined twice", () => {
    expect(verify('%0 = input "x" : f32[4]\n%0 = silu %0 : f32[4]')).toThrow(/%0 is defined twice/);
  });

  it("rejects a declared type that is not what the op gives", () => {
    expect(verify('%0 = input "x" : f32[4]\n%1 = silu %0 : f32[5]')).toThrow(
      /silu gives f32\[4\], declared f32\[5\]/,
    );
  });

  it("rejects the use of a cache after it was written over", () => {
    const body = [
      '%0 = state "c" : f32[capacity, 4]',
      '%1 = input "x" : f32[rows, 4]',
      '%2 = input "at" : i32[1]',
      "%3 = cache_write %0, %1, %2 : f32[capacity, 4]  # write",
      "%4 = silu %0 : f32[capacity, 4]  # late",
    ].join("\n");
    expect(verify(body)).toThrow(/%0 is used after write wrote over it/);
  });

  it("rejects an update of an unknown state and one of the wrong type", () => {
    expect(verify('%0 = input "x" : f32[4]\nupdate "s" = %0')).toThrow(/there is no state "s"/);
    expect(verify('%0 = input "x" : f32[4]\n%1 = state "s" : f32[5]\nupdate "s" = %0')).toThrow(
      /the state is f32\[5\], the value f32\[4\]/,
    );
  });

  it("names the stage and the node", () => {
    expect(verify("%1 = silu %0 : f32[4]  # layers.0.act")).toThrow(
      expect.objectContaining({
        code: "ir/verify",
        path: "g/layers.0.act",
        message: expect.stringContaining("After test"),
      }),
    );
  });
});

describe("the builder", () => {
  it("refuses ill-typed nodes where they are made, with their path", () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", tensor("f32", "rows", 8));
    const w = b.parameter("w", tensor("bf16", 4, 6));
    expect(() => b.scope("layers.3", () => b.linear(x, w, undefined, "q_proj"))).toThrow(
      expect.objectContaining({
        code: "ir/type",
        path: "g/layers.3.q_proj",
        message: "linear columns of x (8) and columns of w (6) differ.",
      }),
    );
  });

  it("gives one value for one parameter and for equal constants", () => {
    const b = new GraphBuilder("g");
    expect(b.parameter("w", tensor("f32", 2)).id).toBe(b.parameter("w", tensor("f32", 2)).id);
    expect(b.constant("i32", [1, 2]).id).toBe(b.constant("i32", [1, 2]).id);
    expect(b.constant("i32", [1, 2]).id).not.toBe(b.constant("f32", [1, 2]).id);
  });
});

import { describe, expect, it } from "vitest";
import { byteSize } from "../../../src/ir/dtype.ts";
import { GraphBuilder } from "../../../src/ir/builder.ts";
import type { SyntheticValues } from "../../../src/ir/program.ts";
import { tensor } from "../../../src/ir/shape.ts";
import { syntheticElements, syntheticWeights } from "../../../src/weights/synthetic.ts";

function graph(name: string) {
  const b = new GraphBuilder(name);
  const x = b.input("x", tensor("f32", "rows", 64));
  const norm = b.rmsNorm(x, b.parameter("norm.weight", tensor("bf16", 64)), 1e-5);
  const w = b.parameter("q_proj.weight", tensor("bf16", 128, 64));
  b.output("y", b.linear(norm, w, b.parameter("q_proj.bias", tensor("f32", 128))));
  return b.finish();
}

function seedOf(values: SyntheticValues): number {
  return values.kind === "normal" ? values.seed : expect.fail("no seed");
}

async function bytesOf(seed: number, name: string): Promise<Uint8Array> {
  const weights = syntheticWeights([graph("g")], seed);
  const { dtype, shape } = weights.parameters.get(name) ?? expect.fail(`no ${name}`);
  const bytes = new Uint8Array(shape.reduce((n, extent) => n * extent, byteSize(dtype)));
  await weights.read(name, bytes);
  return bytes;
}

describe("synthetic weights", () => {
  it("are there for every parameter of the graphs, once", () => {
    const weights = syntheticWeights([graph("a"), graph("b")]);
    expect([...weights.parameters]).toEqual([
      ["norm.weight", { dtype: "bf16", shape: [64] }],
      ["q_proj.weight", { dtype: "bf16", shape: [128, 64] }],
      ["q_proj.bias", { dtype: "f32", shape: [128] }],
    ]);
  });

  it("are normal for matrices with the scale that keeps activations, 1 for norms, small for biases", () => {
    const weights = syntheticWeights([graph("g")]);
    expect(weights.synthetic("norm.weight")).toEqual({ kind: "constant", value: 1 });
    expect(weights.synthetic("q_proj.weight")).toMatchObject({ kind: "normal", scale: 1 / 8 });
    expect(weights.synthetic("q_proj.bias")).toMatchObject({ kind: "normal", scale: 0.02 });
  });

  it("have the mean, the variance and the tails of normal numbers", () => {
    const x = syntheticElements({ kind: "normal", scale: 1, seed: 1 }, 0, 200_000);
    const moment = (power: number) => x.reduce((sum, value) => sum + value ** power, 0) / x.length;
    expect(Math.abs(moment(1))).toBeLessThan(0.01);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.01);
    expect(Math.abs(moment(3))).toBeLessThan(0.03);
    // Four bytes have a fourth moment of 2.7 where a normal number's is 3.
    expect(Math.abs(moment(4) - 2.7)).toBeLessThan(0.05);
    // Neighbours do not depend on each other.
    const product = x.reduce((sum, value, i) => sum + value * (x[i + 1] ?? 0), 0) / x.length;
    expect(Math.abs(product)).toBeLessThan(0.01);
  });

  it("follow from seed and name alone", async () => {
    const name = "q_proj.weight";
    expect(await bytesOf(1, name)).toEqual(await bytesOf(1, name));
    expect(await bytesOf(1, name)).not.toEqual(await bytesOf(2, name));
    const alone = syntheticWeights([graph("g")], 1);
    expect(alone.synthetic("q_proj.bias")).not.toMatchObject({
      seed: seedOf(alone.synthetic(name)),
    });
    const among = new GraphBuilder("h");
    among.output("y", among.cast(among.parameter("first", tensor("f16", 3)), "f32"));
    const both = syntheticWeights([among.finish(), graph("g")], 1);
    expect(both.synthetic(name)).toEqual(alone.synthetic(name));
  });

  it("read the same in pieces that begin and end anywhere", async () => {
    const weights = syntheticWeights([graph("g")], 1);
    const whole = await bytesOf(1, "q_proj.weight");
    for (const [offset, length] of [
      [0, 7],
      [3, 100],
      [101, 1],
      [whole.length - 5, 5],
    ] as const) {
      const piece = new Uint8Array(length);
      await weights.read("q_proj.weight", piece, offset);
      expect(piece).toEqual(whole.slice(offset, offset + length));
    }
  });

  it("refuse a parameter without a fixed shape, by name", () => {
    const b = new GraphBuilder("g");
    b.output("y", b.cast(b.parameter("odd", tensor("bf16", "rows")), "f32"));
    const odd = b.finish();
    expect(() => syntheticWeights([odd])).toThrowError(
      expect.objectContaining({ code: "weights/synthetic", path: "odd" }),
    );
  });
});

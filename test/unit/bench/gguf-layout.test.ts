import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { alignment, type GgufTensor, layOutGguf } from "../../../bench/gguf/gguf-layout.ts";
import { readGguf } from "./gguf-reader.ts";

const sizes = { f32: 4, f16: 2, bf16: 2 };
const typeIds = { f32: 0, f16: 1, bf16: 30 };

describe("the layout of a GGUF file", () => {
  it("begins with magic, version 3 and both counts", () => {
    const { head } = layOutGguf(new Map([["a.b", { type: "u32", value: 7 }]]), [
      { name: "t", type: "f32", shape: [1] },
      { name: "u", type: "f32", shape: [1] },
    ]);
    const text = new TextDecoder().decode(head.subarray(0, 4));
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    expect(text).toBe("GGUF");
    expect(view.getUint32(4, true)).toBe(3);
    expect(view.getBigUint64(8, true)).toBe(2n);
    expect(view.getBigUint64(16, true)).toBe(1n);
  });

  it("keeps every kind of metadata value", () => {
    const { head } = layOutGguf(
      new Map([
        ["u32", { type: "u32", value: 4294967295 }],
        ["f32", { type: "f32", value: 0.5 }],
        ["yes", { type: "bool", value: true }],
        ["no", { type: "bool", value: false }],
        ["text", { type: "string", value: "Ġé漢" }],
        ["texts", { type: "strings", value: ["", "Ġ t", "x"] }],
        ["numbers", { type: "i32s", value: [-1, 6] }],
      ]),
      [],
    );
    expect(Object.fromEntries(readGguf(head).metadata)).toEqual({
      u32: 4294967295,
      f32: 0.5,
      yes: true,
      no: false,
      text: "Ġé漢",
      texts: ["", "Ġ t", "x"],
      numbers: [-1, 6],
    });
  });

  it("places tensors in order, aligned, without overlap, extents innermost first", () => {
    const tensor = fc.record({
      type: fc.constantFrom<GgufTensor["type"]>("f32", "f16", "bf16"),
      shape: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(tensor, { maxLength: 8 }), fc.string(), (drawn, name) => {
        const tensors = drawn.map((one, index) => ({ ...one, name: `${name}${index}` }));
        const layout = layOutGguf(new Map([["k", { type: "string", value: name }]]), tensors);
        const file = readGguf(layout.head);
        expect(layout.head.length % alignment).toBe(0);
        expect(file.dataStart).toBe(layout.head.length);
        let end = file.dataStart;
        for (const [index, { type, shape, name: tensorName }] of tensors.entries()) {
          const entry = file.tensors.get(tensorName);
          const placed = layout.tensors[index];
          expect(entry?.extents).toEqual(shape.toReversed());
          expect(entry?.type).toBe(typeIds[type]);
          expect((entry?.offset ?? 1) % alignment).toBe(0);
          expect(placed?.begin).toBe(file.dataStart + (entry?.offset ?? -1));
          expect(placed?.begin).toBeGreaterThanOrEqual(end);
          expect(placed?.byteLength).toBe(shape.reduce((a, b) => a * b, sizes[type]));
          end = (placed?.begin ?? 0) + (placed?.byteLength ?? 0);
        }
        expect(layout.byteLength).toBeGreaterThanOrEqual(end);
        expect(layout.byteLength - end).toBeLessThan(alignment);
      }),
      { seed: 3, numRuns: 60 },
    );
  });
});

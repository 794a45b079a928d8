import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DevicePtr } from "../../../runtime/driver/driver.ts";
import { type KernelArg, packArgs } from "../../../runtime/driver/kernel-args.ts";

const arg: fc.Arbitrary<KernelArg> = fc.oneof(
  fc.record({ type: fc.constantFrom("i8" as const, "u8" as const), value: fc.integer() }),
  fc.record({ type: fc.constantFrom("i16" as const, "u16" as const), value: fc.integer() }),
  fc.record({ type: fc.constantFrom("i32" as const, "u32" as const), value: fc.integer() }),
  fc.record({ type: fc.constantFrom("f32" as const, "f64" as const), value: fc.double() }),
  fc.record({ type: fc.constantFrom("i64" as const, "u64" as const), value: fc.bigInt() }),
  fc.record({
    type: fc.constant("bytes" as const),
    value: fc.uint8Array({ minLength: 1, maxLength: 24 }),
    align: fc.constantFrom(1, 2, 4, 8, 16, 64),
  }),
);

describe("kernel arguments", () => {
  it("follow each other at their own alignment without overlap", () => {
    fc.assert(
      fc.property(fc.array(arg, { maxLength: 20 }), (args) => {
        const packed = packArgs(args);
        let end = 0;
        for (const [index, one] of args.entries()) {
          const offset = packed.offsets[index] ?? -1;
          const size = packed.sizes[index] ?? -1;
          const align = one.type === "bytes" ? one.align : size;
          expect(offset % align).toBe(0);
          expect(offset).toBeGreaterThanOrEqual(end);
          expect(offset - end).toBeLessThan(align);
          end = offset + size;
        }
        expect(packed.bytes.length).toBe(end);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it("are little-endian, with pointers of eight bytes", () => {
    const { bytes, offsets } = packArgs([
      { type: "u8", value: 1 },
      { type: "ptr", value: 0x123456789a as DevicePtr },
      { type: "i32", value: -2 },
      { type: "f32", value: 1 },
      { type: "i64", value: -1 },
    ]);
    expect(offsets).toEqual([0, 8, 16, 20, 24]);
    const view = new DataView(bytes.buffer);
    expect(view.getBigUint64(8, true)).toBe(0x123456789an);
    expect(view.getInt32(16, true)).toBe(-2);
    expect(view.getFloat32(20, true)).toBe(1);
    expect(view.getBigInt64(24, true)).toBe(-1n);
  });
});

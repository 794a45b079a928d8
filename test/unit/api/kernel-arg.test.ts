import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { initialBytes, type KernelRunArg, parseKernelArg } from "../../../src/api/kernel-arg.ts";
import { fromBf16, fromF16 } from "../../../src/ir/float-formats.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hydrant-arg-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function bytesOf(text: string, seed = 0, position = 0): Uint8Array {
  const arg = parseKernelArg(text);
  if (arg.kind === "scalar") return arg.bytes;
  return initialBytes(arg, seed, position) ?? new Uint8Array(0);
}
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset);

describe("scalar arguments", () => {
  it.each([
    ["f64=0.1", (v: DataView) => v.getFloat64(0, true), 0.1],
    ["f32=-1.5e3", (v: DataView) => v.getFloat32(0, true), -1500],
    ["f32=inf".replace("inf", "Infinity"), (v: DataView) => v.getFloat32(0, true), Infinity],
    ["f16=1.0009765625", (v: DataView) => fromF16(v.getUint16(0, true)), 1.0009765625],
    ["bf16=3.14159", (v: DataView) => fromBf16(v.getUint16(0, true)), 3.140625],
    ["i64=-9223372036854775808", (v: DataView) => v.getBigInt64(0, true), -(2n ** 63n)],
    ["i32=-7", (v: DataView) => v.getInt32(0, true), -7],
    ["u32=0xffffffff", (v: DataView) => v.getUint32(0, true), 0xffffffff],
    ["i8=-128", (v: DataView) => v.getInt8(0), -128],
    ["u8=255", (v: DataView) => v.getUint8(0), 255],
  ])("%s", (text, read, expected) => {
    expect(read(view(bytesOf(text)))).toBe(expected);
  });

  it("take the size of their type", () => {
    const sizes = ["f64=1", "f32=1", "f16=1", "bf16=1", "i64=1", "i32=1", "u32=1", "i8=1", "u8=1"];
    expect(sizes.map((text) => bytesOf(text).length)).toEqual([8, 4, 2, 2, 8, 4, 4, 1, 1]);
  });

  it.each(["i32=2147483648", "u32=-1", "u8=256", "i8=-129", "i64=9223372036854775808"])(
    "refuses %s, which the type cannot hold",
    (text) => expect(() => parseKernelArg(text)).toThrow(/out of the range/),
  );

  it.each(["i32=1.5", "i32=", "f32=", "f32=one", "f32=1,5", "q8=1", "f32"])(
    "refuses %s, which says nothing of that kind",
    (text) =>
      expect(() => parseKernelArg(text)).toThrow(
        expect.objectContaining({ code: "kernel/argument" }) as Error,
      ),
  );
});

describe("buffer arguments", () => {
  it("start as zeros, ones or the index", () => {
    expect([...new Float32Array(bytesOf("f32:3:zeros").buffer)]).toEqual([0, 0, 0]);
    expect([...new Float64Array(bytesOf("f64:2:ones").buffer)]).toEqual([1, 1]);
    expect([...new BigInt64Array(bytesOf("i64:3:iota").buffer)]).toEqual([0n, 1n, 2n]);
    const halves = new Uint16Array(bytesOf("bf16:300:iota").buffer);
    expect(fromBf16(halves[255] ?? 0)).toBe(255);
    expect(fromBf16(halves[257] ?? 0)).toBe(256); // bf16 holds eight significant bits.
    expect([...bytesOf("u8:258:iota")].slice(254)).toEqual([254, 255, 0, 1]);
  });

  it("stay untouched when uninit", () => {
    expect(
      initialBytes(
        parseKernelArg("f32:4:uninit") as Extract<KernelRunArg, { kind: "buffer" }>,
        0,
        0,
      ),
    ).toBeUndefined();
  });

  it("draw the same random bytes for the same seed and position only", () => {
    const a = bytesOf("f32:1000:random", 1, 0);
    expect(bytesOf("f32:1000:random", 1, 0)).toEqual(a);
    expect(bytesOf("f32:1000:random", 2, 0)).not.toEqual(a);
    expect(bytesOf("f32:1000:random", 1, 1)).not.toEqual(a);
  });

  it("draw floats uniformly from [-1, 1]", () => {
    const values = new Float32Array(bytesOf("f32:20000:random", 7).buffer);
    expect(Math.max(...values)).toBeLessThanOrEqual(1);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-1);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const square = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(square - 1 / 3)).toBeLessThan(0.02);
  });

  it("draw integers from their whole range", () => {
    const bytes = bytesOf("i8:10000:random");
    expect(new Set(bytes).size).toBe(256);
    const wide = new BigInt64Array(bytesOf("i64:1000:random").buffer);
    expect(wide.some((x) => x > 2n ** 62n)).toBe(true);
    expect(wide.some((x) => x < -(2n ** 62n))).toBe(true);
  });

  it("come from files, colons in the path included", () => {
    const path = join(folder, "a:b.bin");
    writeFileSync(path, Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0));
    expect([...bytesOf(`i32:2:@${path}`)]).toEqual([1, 0, 0, 0, 2, 0, 0, 0]);
    expect(() => bytesOf(`i32:3:@${path}`)).toThrow("The file has 8 bytes, the buffer 12.");
    expect(() => bytesOf(`i32:2:@${path}.none`)).toThrow(/cannot be read/);
  });

  it.each([
    "f32:0:zeros",
    "f32:-1:zeros",
    "f32:4:twos",
    "f32:4",
    "f32:4:@",
    "f32:2000000000:zeros",
  ])("refuses %s", (text) =>
    expect(() => parseKernelArg(text)).toThrow(
      expect.objectContaining({ code: "kernel/argument" }) as Error,
    ),
  );
});

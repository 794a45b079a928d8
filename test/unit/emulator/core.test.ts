import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { instantiateCore } from "../../../runtime/emulator/core/core.ts";
import { hasFusedMultiplyAdd } from "../../../runtime/wasm/fused.ts";
import { fp8Decode, fp8Encode } from "../../../runtime/emulator/execute/fp8.ts";
import { fmaF64 } from "../../../runtime/emulator/execute/host-functions.ts";
import { call, i32, ModuleBuilder, v128 } from "../../../runtime/wasm/wasm.ts";
import { fma } from "../../conformance/kernels/exact.ts";

/** fma32 of the core over four lanes at a time. */
function vectorFma(fused: boolean): (a: number, b: number, c: number) => number {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
  const core = instantiateCore(memory, { fused });
  const module = new ModuleBuilder();
  module.importMemory("env", "memory", { initial: 2, maximum: 2 });
  const three = ["v128", "v128", "v128"] as const;
  const inner = module.importFunction("core", "fma32", { params: three, results: ["v128"] });
  const f = module.func("run", []);
  const at = i32.const(0);
  const value = call("v128", inner, v128.load(at), v128.load(at, 16), v128.load(at, 32));
  f.do(v128.store(at, value, 48));
  const bytes = module.encode() as Uint8Array<ArrayBuffer>;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    env: { memory },
    core,
  });
  const run = exports.run as () => void;
  const floats = new Float32Array(memory.buffer as ArrayBuffer);
  return (a, b, c) => {
    floats.fill(a, 0, 4);
    floats.fill(b, 4, 8);
    floats.fill(c, 8, 12);
    run();
    expect(floats.subarray(13, 16)).toEqual(new Float32Array(3).fill(floats[12] ?? 0));
    return floats[12] ?? 0;
  };
}

const float = fc.float({ noNaN: true });
/** Triples whose sum nearly cancels or falls between two floats. */
const hard = fc
  .tuple(float, float, fc.integer({ min: -3, max: 3 }))
  .map(([a, b, ulps]) => [a, b, Math.fround(-a * b * (1 + ulps * 2 ** -23))] as const);

describe("fma of the emulator's core", () => {
  const ways = [false, ...(hasFusedMultiplyAdd() ? [true] : [])];
  it.each(ways)("rounds once, fused multiply-add in the machine: %s", (fused) => {
    const run = vectorFma(fused);
    fc.assert(
      fc.property(fc.oneof(fc.tuple(float, float, float), hard), ([a, b, c]) => {
        expect(run(a, b, c)).toBe(fma(a, b, c, "rn"));
      }),
      { seed: 7, numRuns: 3000 },
    );
  });

  it("rounds f64 once too", () => {
    const x = 1 + 2 ** -30;
    expect(fmaF64(x, x, -(x * x))).toBe(2 ** -60);
    expect(fmaF64(2 ** -600, 2 ** -600, 1)).toBe(1);
    expect(fmaF64(3, 4, 5)).toBe(17);
    expect(fmaF64(-3, 4, 5)).toBe(-7);
    expect(fmaF64(Number.POSITIVE_INFINITY, 1, -1)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("8-bit floats", () => {
  it.each(["e4m3", "e5m2"] as const)(
    "%s: every finite code survives decoding and encoding",
    (format) => {
      for (let code = 0; code < 256; code++) {
        const value = fp8Decode(code, format);
        if (Number.isFinite(value)) expect(fp8Encode(value, format)).toBe(code);
      }
    },
  );

  it("rounds ties to even and saturates", () => {
    expect(fp8Encode(1e9, "e4m3")).toBe(0x7e);
    expect(fp8Encode(-1e9, "e5m2")).toBe(0xfb);
    expect(fp8Encode(1 + 1 / 16, "e4m3")).toBe(0x38);
    expect(fp8Encode(1 + 3 / 16, "e4m3")).toBe(0x3a);
    expect(fp8Encode(Number.NaN, "e4m3")).toBe(0x7f);
  });
});

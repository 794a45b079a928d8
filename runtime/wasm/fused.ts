import { setFlagsFromString } from "node:v8";
import { relaxedMadd } from "./relaxed.ts";
import { f32x4, ModuleBuilder } from "./wasm.ts";

let known: boolean | undefined;

/**
 * True when `f32x4.relaxed_madd` exists and is fused here. Relaxed SIMD lets the machine choose,
 * so it is measured: the square of 1 + 2⁻¹² minus its rounded self is 2⁻²⁴ fused, 0 otherwise.
 * Without it fma costs about ten times as much, with the same bits.
 */
export function hasFusedMultiplyAdd(): boolean {
  known ??= measure();
  return known;
}

function measure(): boolean {
  const module = new ModuleBuilder();
  const probe = module.func("probe", ["f32", "f32"], ["f32"]);
  const a = f32x4.splat(probe.param("f32", 0));
  const c = f32x4.splat(probe.param("f32", 1));
  probe.result(f32x4.extractLane(relaxedMadd.f32x4(a, a, c), 0));
  const bytes = module.encode();
  if (!WebAssembly.validate(bytes)) {
    // V8 before 11.4 (Node 20) has the instructions behind a flag.
    setFlagsFromString("--experimental-wasm-relaxed-simd");
    if (!WebAssembly.validate(bytes)) return false;
  }
  const run = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.probe;
  if (typeof run !== "function") return false;
  const x = 1 + 2 ** -12;
  return run(x, -Math.fround(x * x)) === 2 ** -24;
}

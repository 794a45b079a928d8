import { ModuleBuilder } from "../../../runtime/wasm/wasm.ts";

type Exports = Record<string, (...args: (number | bigint)[]) => number | bigint | undefined>;

/** Builds, compiles and instantiates a module; gives its exported functions. */
export function compile(
  fill: (m: ModuleBuilder) => void,
  imports: WebAssembly.Imports = {},
): Exports {
  const m = new ModuleBuilder();
  fill(m);
  const module = new WebAssembly.Module(m.encode());
  return new WebAssembly.Instance(module, imports).exports as unknown as Exports;
}

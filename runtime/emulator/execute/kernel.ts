/** A translated kernel, ready to run on one machine. */
import { inlineCalls } from "../ptx/inline-calls.ts";
import { unsupported } from "../ptx/operands.ts";
import type { PtxFunction, PtxModule } from "../ptx/ptx.ts";
import type { Block } from "../analysis/cfg.ts";
import { matrixAccess, operationHandler } from "../operations/operations.ts";
import type { KernelContext, ModuleAddresses } from "../translate/kernel-context.ts";
import {
  type Site,
  type TranslateOptions,
  type Translation,
  translate,
} from "../translate/translate.ts";
import { HOST_FUNCTIONS } from "./host-functions.ts";
import type { Machine } from "./machine.ts";

/** What the host does at a site: `warp` is the linear address of the warp's state. */
export type SiteHandler = (warp: number, mask: number) => void;

/** Makes the handler that looks at a memory access before it happens. */
export type CheckFactory = (site: Site, context: KernelContext) => SiteHandler;

export interface Kernel {
  readonly fn: PtxFunction;
  readonly context: KernelContext;
  readonly blocks: readonly Block[];
  /** Linear address of the block counters. */
  readonly counters: number;
  run(warp: number): number;
}

interface Compiled {
  readonly translation: Translation;
  readonly module: WebAssembly.Module;
}

/** Translations of a module's kernels: emulators that agree on addresses share them. */
const compiled = new WeakMap<PtxFunction, Map<string, Compiled>>();

function compile(
  module: PtxModule,
  entry: PtxFunction,
  addresses: ModuleAddresses,
  options: TranslateOptions,
): Compiled {
  const known = compiled.get(entry) ?? new Map<string, Compiled>();
  compiled.set(entry, known);
  const key = JSON.stringify([options, [...addresses]]);
  const found = known.get(key);
  if (found !== undefined) return found;
  const moduleShared = [...module.variables.values()].filter((v) => v.space === "shared");
  const translation = translate(inlineCalls(entry, module), moduleShared, addresses, options);
  const bytes = translation.bytes as Uint8Array<ArrayBuffer>;
  const made = { translation, module: new WebAssembly.Module(bytes) };
  known.set(key, made);
  return made;
}

export function loadKernel(
  machine: Machine,
  module: PtxModule,
  entry: PtxFunction,
  addresses: ModuleAddresses,
  check: CheckFactory | undefined,
): Kernel {
  // One counter pair per block; instructions, with those of calls, bound the number of blocks.
  const size = [...module.functions.values()].reduce((sum, fn) => sum + fn.instructions.length, 0);
  const counters = machine.reserve(16 * (4 * size + 64));
  const { translation, module: code } = compile(module, entry, addresses, {
    instrumented: check !== undefined,
    counters,
    memoryPages: machine.pages,
    fused: machine.fused,
  });
  const { context, sites, blocks } = translation;
  if (blocks.length > 4 * size + 64) throw new Error("more blocks than counters");
  const handlers = sites.map((site): SiteHandler => {
    if (site.purpose === "operation") return operationHandler(site.instruction, context, machine);
    if (check === undefined) throw unsupported(site.instruction);
    if (site.instruction.parts[0] === "ldmatrix") {
      return matrixAccess(site.instruction, context, machine);
    }
    return check(site, context);
  });
  const instance = new WebAssembly.Instance(code, {
    env: { memory: machine.memory },
    core: machine.core,
    host: {
      ...HOST_FUNCTIONS,
      site: (warp: number, index: number, mask: number) => handlers[index]?.(warp, mask),
    },
  });
  const run = instance.exports.run;
  if (typeof run !== "function") throw new Error("a translated kernel exports run");
  return { fn: context.fn, context, blocks, counters, run: (warp) => Number(run(warp)) };
}

/** A translated kernel, ready to run on one machine. */
import { inlineCalls } from "../ptx/inline-calls.ts";
import { unsupported } from "../ptx/operands.ts";
import type { PtxFunction, PtxModule } from "../ptx/ptx.ts";
import type { Block } from "../analysis/cfg.ts";
import { operationHandler } from "../operations/operations.ts";
import type { KernelContext, ModuleAddresses } from "../translate/kernel-context.ts";
import { type Site, translate } from "../translate/translate.ts";
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

export function loadKernel(
  machine: Machine,
  module: PtxModule,
  entry: PtxFunction,
  addresses: ModuleAddresses,
  check: CheckFactory | undefined,
): Kernel {
  const fn = inlineCalls(entry, module);
  const moduleShared = [...module.variables.values()].filter((v) => v.space === "shared");
  // One counter pair per block; instructions bound the number of blocks.
  const counters = machine.reserve(16 * (fn.instructions.length + 1));
  const translation = translate(fn, moduleShared, addresses, {
    instrumented: check !== undefined,
    counters,
    memoryPages: machine.pages,
    fused: machine.fused,
  });
  const { context, sites, blocks } = translation;
  const handlers = sites.map((site): SiteHandler => {
    if (site.purpose === "operation") return operationHandler(site.instruction, context, machine);
    if (check === undefined) throw unsupported(site.instruction);
    return check(site, context);
  });
  const instance = new WebAssembly.Instance(
    new WebAssembly.Module(translation.bytes as Uint8Array<ArrayBuffer>),
    {
      env: { memory: machine.memory },
      core: machine.core,
      host: {
        ...HOST_FUNCTIONS,
        site: (warp: number, index: number, mask: number) => handlers[index]?.(warp, mask),
      },
    },
  );
  const run = instance.exports["run"];
  if (typeof run !== "function") throw new Error("a translated kernel exports run");
  return { fn, context, blocks, counters, run: (warp) => Number(run(warp)) };
}

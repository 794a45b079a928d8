/**
 * Many kernels at once, over worker threads: a model's first load compiles dozens of kernels of
 * about 0.1 s each. Measured on two cores, 24 GEMM kernels: 3.4 s in one thread, 2.1 s in two
 * (NVRTC 13.0); 4.5 s and 2.6 s (11.8).
 */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import type { KernelCache } from "./cache.ts";
import { type CompiledModule, type CompileRequest, cachedModule, compileCuda } from "./compile.ts";
import type { Nvrtc } from "./nvrtc.ts";

/** A thread takes some 0.3 s to start: fewer kernels than this are not worth one. */
const KERNELS_PER_WORKER = 6;
const MAX_WORKERS = 8;

/** What a worker is told once, and per kernel; what it answers. */
export interface CompileWorkerData {
  readonly library: Nvrtc["library"];
  readonly cacheDirectory: string | undefined;
}
export type CompileWorkerReply =
  | { readonly index: number; readonly module: CompiledModule }
  /** The caller compiles that one itself, to have the error as it is. */
  | { readonly index: number; readonly failed: true };

/**
 * The modules of `requests`, in order: from the cache where it has them. Throws what `compileCuda`
 * throws for the first request at fault.
 */
export async function compileAll(
  nvrtc: Nvrtc,
  requests: readonly CompileRequest[],
  cache?: KernelCache,
  options: {
    readonly workers?: number;
    /** Called after every module. */
    readonly onModule?: () => void;
  } = {},
): Promise<readonly CompiledModule[]> {
  const modules = requests.map((request) => {
    const module = cachedModule(nvrtc, request, cache);
    if (module !== undefined) options.onModule?.();
    return module;
  });
  const missing = modules.flatMap((module, index) => (module === undefined ? [index] : []));
  const workers = Math.min(
    options.workers ?? Math.min(availableParallelism(), MAX_WORKERS),
    Math.floor(missing.length / KERNELS_PER_WORKER),
  );
  if (workers >= 2) {
    const data: CompileWorkerData = {
      library: nvrtc.library,
      cacheDirectory: cache?.directory,
    };
    const next = missing.values();
    await Promise.all(
      Array.from({ length: workers }, () => runWorker(data, requests, next, modules, options)),
    );
  }
  return requests.map((request, index) => {
    const known = modules[index];
    if (known !== undefined) return known;
    const module = compileCuda(nvrtc, request, cache);
    options.onModule?.();
    return module;
  });
}

/** Feeds one worker from the shared list of indices until that is empty or the worker dies. */
function runWorker(
  data: CompileWorkerData,
  requests: readonly CompileRequest[],
  next: Iterator<number>,
  modules: (CompiledModule | undefined)[],
  { onModule }: { readonly onModule?: () => void },
): Promise<void> {
  return new Promise((resolve) => {
    const worker = new Worker(bootstrap(), { eval: true, workerData: data });
    const feed = (): void => {
      const { done, value } = next.next();
      if (done === true) void worker.terminate();
      else worker.postMessage({ index: value, request: requests[value] });
    };
    worker.on("message", (reply: CompileWorkerReply) => {
      if ("module" in reply) {
        modules[reply.index] = reply.module;
        onModule?.();
      }
      feed();
    });
    // A worker that cannot start or dies only costs time: its kernels are compiled by the caller.
    worker.on("error", () => {});
    worker.on("exit", () => resolve());
    feed();
  });
}

/** The worker's first code: it loads the TypeScript loader where this file itself is TypeScript. */
function bootstrap(): string {
  const isTypeScript = import.meta.url.endsWith(".ts");
  const entry = new URL(`compile-worker.${isTypeScript ? "ts" : "js"}`, import.meta.url).href;
  if (!isTypeScript) return `import(${JSON.stringify(entry)});`;
  // `require` resolves to the CommonJS form; the module beside it is the one that can be imported.
  const api = createRequire(import.meta.url)
    .resolve("tsx/esm/api")
    .replace(/\.cjs$/, ".mjs");
  const loader = pathToFileURL(api).href;
  return `import(${JSON.stringify(loader)}).then(({ register }) => { register(); return import(${JSON.stringify(entry)}); });`;
}

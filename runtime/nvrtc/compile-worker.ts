/** One thread of compile-all.ts: compiles what it is sent. */
import { parentPort, workerData } from "node:worker_threads";
import { KernelCache } from "./cache.ts";
import { type CompileRequest, compileCuda } from "./compile.ts";
import type { CompileWorkerData, CompileWorkerReply } from "./compile-all.ts";
import { openNvrtc } from "./nvrtc.ts";

const { library, cacheDirectory } = workerData as CompileWorkerData;
const nvrtc = openNvrtc({ library });
const cache =
  cacheDirectory === undefined ? undefined : new KernelCache({ directory: cacheDirectory });

parentPort?.on(
  "message",
  ({ index, request }: { readonly index: number; readonly request: CompileRequest }) => {
    let reply: CompileWorkerReply;
    try {
      reply = { index, module: compileCuda(nvrtc, request, cache) };
    } catch {
      reply = { index, failed: true };
    }
    parentPort?.postMessage(reply);
  },
);

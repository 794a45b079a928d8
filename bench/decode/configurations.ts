import { basename, join } from "node:path";
import { type GgufWeights, exportGguf } from "../gguf/export-gguf.ts";
import { installLlamaCpp } from "../peers/llama-cpp/install.ts";
import type { LlamaCppConfiguration } from "../peers/llama-cpp/llama-cpp-worker.ts";
import type { HydrantConfiguration } from "./hydrant-worker.ts";
import type { Kind } from "./results.ts";

/** One row of the report: an engine with its settings, in a process of its own. */
export interface Configuration {
  readonly name: string;
  readonly kind: Kind;
  readonly worker: URL;
  readonly settings: HydrantConfiguration | LlamaCppConfiguration;
  /** Draft heads whose step costs are to be measured in this process. */
  readonly stepCostsOf?: string | undefined;
}

export interface Setup {
  readonly model: string;
  /** Folders of draft heads. */
  readonly heads: readonly string[];
  readonly device: string;
  /** Thread counts plain decoding and the peers are compared at. */
  readonly threads: readonly number[];
  /** Threads of the reference and of the heads; undefined: the executor's own choice. */
  readonly useThreads?: number | undefined;
  readonly tree: string;
}

const hydrantWorker = new URL("hydrant-worker.ts", import.meta.url);
const llamaCppWorker = new URL("../peers/llama-cpp/llama-cpp-worker.ts", import.meta.url);

/**
 * Plain decoding as it comes (the reference of all comparisons) and at every thread count; every set
 * of heads with the fixed tree and with `auto`.
 */
export function hydrantConfigurations(setup: Setup): Configuration[] {
  const row = (
    name: string,
    settings: Omit<HydrantConfiguration, "model" | "device">,
    stepCostsOf?: string,
  ): Configuration => ({
    name,
    worker: hydrantWorker,
    kind: settings.heads === undefined ? "plain" : "speculative",
    settings: { model: setup.model, device: setup.device, ...settings },
    stepCostsOf,
  });
  return [
    row("plain", { method: "autoregressive", threads: setup.useThreads }),
    ...setup.threads.map((threads) =>
      row(`plain, ${countThreads(threads)}`, { method: "autoregressive", threads }),
    ),
    ...setup.heads.flatMap((heads) => [
      row(
        `${basename(heads)}, ${setup.tree}`,
        { heads, method: "heads", tree: setup.tree, threads: setup.useThreads },
        basename(heads),
      ),
      row(`${basename(heads)}, auto`, { heads, method: "auto", threads: setup.useThreads }),
    ]),
  ];
}

/** llama.cpp with the same weights as bf16 and f16, from a Node program and as its bare loop. */
export async function llamaCppConfigurations(
  setup: Setup,
  cache: string,
  contextSize: number,
): Promise<Configuration[]> {
  const entry = installLlamaCpp(join(cache, "llama-cpp"));
  const rows: Configuration[] = [];
  for (const weights of ["bf16", "f16"] satisfies GgufWeights[]) {
    const model = join(cache, `${basename(setup.model)}-${weights}.gguf`);
    await exportGguf(setup.model, model, weights);
    for (const threads of setup.threads) {
      for (const loop of ["package", "native"] as const) {
        const name = loop === "package" ? "node-llama-cpp" : "llama.cpp, bare loop";
        rows.push({
          name: `${name}, ${weights}, ${countThreads(threads)}`,
          kind: `peer ${loop}`,
          worker: llamaCppWorker,
          settings: { entry, model, threads, contextSize, loop },
        });
      }
    }
  }
  return rows;
}

function countThreads(threads: number): string {
  return threads === 1 ? "1 thread" : `${threads} threads`;
}

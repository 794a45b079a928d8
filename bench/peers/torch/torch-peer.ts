import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelConfig } from "../../../src/models/config.ts";
import type { TreeTopology } from "../../../src/speculation/tree.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import { root, runCommand } from "../../gpu-check/child.ts";
import {
  BadField,
  list,
  number,
  object,
  optional,
  type Reader,
  string,
} from "../../report/read-json.ts";

/** One way to decode, measured. */
export interface TorchResult {
  /** `eager at 512`, `CUDA graph at 2048`. */
  readonly name: string;
  /** For people: what it was. */
  readonly how?: string | undefined;
  /** Milliseconds of a step in every round. */
  readonly ms?: readonly number[] | undefined;
  /** The first greedy tokens. */
  readonly tokens?: readonly number[] | undefined;
  /** Why there are none. */
  readonly skipped?: string | undefined;
}

export interface TorchReport {
  /** Version. */
  readonly torch: string;
  readonly device: string;
  readonly peakBytes: number;
  readonly results: readonly TorchResult[];
  /** Why what was still to come is not there: the time limit, or how the process ended. */
  readonly cut?: string | undefined;
}

export interface TorchSettings {
  readonly peer: "plain" | "hydra";
  readonly model: ModelConfig;
  readonly tree: TreeTopology;
  readonly contexts: readonly number[];
  /** Steps of a round. */
  readonly steps: number;
  readonly rounds: number;
  readonly limitSeconds: number;
  /** Instead of main.py beside this file, and of python3. */
  readonly script?: string;
  readonly python?: string;
}

const readReport: Reader<TorchReport> = object<TorchReport>({
  torch: string,
  device: string,
  peakBytes: number,
  results: list(
    object<TorchResult>({
      name: string,
      how: optional(string),
      ms: optional(list(number)),
      tokens: optional(list(number)),
      skipped: optional(string),
    }),
  ),
  cut: optional(string),
});

/**
 * Runs a torch peer in a process of its own; what it had measured when it was ended counts.
 * @throws HydrantError `bench/peer` when it came to nothing: no Python, no torch, no GPU.
 */
export async function runTorchPeer(settings: TorchSettings): Promise<TorchReport> {
  const { peer, limitSeconds, python = process.env.HYDRANT_PYTHON || "python3" } = settings;
  const script = settings.script ?? join(root, "bench", "peers", "torch", "main.py");
  const folder = mkdtempSync(join(tmpdir(), "hydrant-torch-"));
  const [input, output] = [join(folder, "settings.json"), join(folder, "results.json")];
  try {
    writeFileSync(input, JSON.stringify(forPython(settings)));
    const ended = await runCommand([python, "-B", script, peer, input, output], limitSeconds).catch(
      (error: unknown) => ({ code: 127, timedOut: false, output: String(error) }),
    );
    const cut = ended.timedOut
      ? `ended after ${limitSeconds} s`
      : ended.code === 0
        ? undefined
        : lastLine(ended.output);
    const report = readFile(output);
    if (report !== undefined) return cut === undefined ? report : { ...report, cut };
    throw new HydrantError(
      "bench/peer",
      `The torch peer measured nothing: ${cut ?? "no result"}.`,
      {
        path: script,
        hint: "Install torch for CUDA into the python3 on PATH, or point HYDRANT_PYTHON at one that has it.",
      },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Names as main.py has them. */
function forPython({ model, tree, contexts, steps, rounds }: TorchSettings): object {
  return {
    shape: {
      vocab: model.vocabSize,
      hidden: model.hiddenSize,
      intermediate: model.intermediateSize,
      layers: model.layers,
      heads: model.heads,
      kv_heads: model.kvHeads,
      head_dim: model.headDim,
      eps: model.rmsNormEps,
      theta: model.rope.theta,
    },
    parents: [...tree.parents],
    ranks: [...tree.ranks],
    contexts,
    steps,
    rounds,
  };
}

function readFile(file: string): TorchReport | undefined {
  try {
    return readReport(JSON.parse(readFileSync(file, "utf8")), "");
  } catch (error) {
    if (error instanceof BadField) throw error;
    return undefined; // It ended before it had anything to say.
  }
}

function lastLine(output: string): string {
  return output.split("\n").at(-1) ?? "";
}

/** Tokens that two texts have in common from their beginning. */
export function commonTokens(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((token, i) => token !== b[i]);
  return at < 0 ? Math.min(a.length, b.length) : at;
}

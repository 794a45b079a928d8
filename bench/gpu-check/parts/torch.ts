import assert from "node:assert/strict";
import { namedShape } from "../../../src/models/named-shapes.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import {
  commonTokens,
  runTorchPeer,
  type TorchReport,
  type TorchResult,
} from "../../peers/torch/torch-peer.ts";
import { torchName } from "../figure-names.ts";
import type { PartContext } from "../part.ts";

const contexts = [512, 2048];
/** The heads first: they take seconds, and compiling a plain loop takes what is left. */
const peers = [
  { peer: "hydra", limitSeconds: 35 },
  { peer: "plain", limitSeconds: 60 },
] as const;

/** The same shapes in torch: plain decoding and a Hydra++ step, eager and as CUDA graphs. */
export async function run(part: PartContext): Promise<void> {
  for (const { peer, limitSeconds } of peers) {
    try {
      const report = await runTorchPeer({
        peer,
        model: namedShape("vicuna-7b"),
        tree: namedTree("mc_sim_7b_63"),
        contexts,
        steps: 24,
        rounds: 5,
        limitSeconds,
      });
      await note(part, peer, report);
    } catch (error) {
      if (!(error instanceof HydrantError && error.code === "bench/peer")) throw error;
      part.skip(`torch, ${peer}`, error.oneLine);
    }
  }
}

/** Records a report, and checks that ways to compute the same text do. */
export async function note(
  part: PartContext,
  peer: string,
  { torch, peakBytes, results, cut }: TorchReport,
): Promise<void> {
  part.note(`${peer}: torch`, torch);
  part.note(`${peer}: peak memory, GB`, peakBytes / 1e9);
  if (cut !== undefined) part.note(`${peer}: cut short`, cut);
  for (const result of results) {
    const name = torchName(peer, result.name);
    if (result.ms === undefined) {
      part.skip(name, result.skipped ?? "not measured");
      continue;
    }
    part.figure(name, "ms", result.ms);
    if (result.how !== undefined) part.note(`${name}: how`, result.how);
    await compare(part, peer, result, results);
  }
}

async function compare(
  part: PartContext,
  peer: string,
  { name, tokens = [] }: TorchResult,
  all: readonly TorchResult[],
): Promise<void> {
  const context = name.split(" at ").at(-1);
  const eager = all.find((other) => other.name === `eager at ${context}`);
  if (eager?.tokens === undefined || eager.name === name) return;
  const [same, length] = [commonTokens(tokens, eager.tokens), eager.tokens.length];
  part.note(`${peer}, ${name}: tokens as the eager loop's`, `${same} of ${length}`);
  // Compiled code rounds elsewhere: two tokens may be as good as equal, and the texts part there.
  const least = name.startsWith("compiled") ? 1 : length;
  await part.check(`${peer}, ${name}: the eager loop's tokens`, () =>
    assert.ok(same >= least, `the texts part after ${same} of ${length} tokens`),
  );
}

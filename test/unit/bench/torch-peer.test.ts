import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { PartContext } from "../../../bench/gpu-check/part.ts";
import { note } from "../../../bench/gpu-check/parts/torch.ts";
import {
  commonTokens,
  runTorchPeer,
  type TorchSettings,
} from "../../../bench/peers/torch/torch-peer.ts";
import { namedShape } from "../../../src/models/named-shapes.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";

const folder = mkdtempSync(join(tmpdir(), "hydrant-torch-peer-"));
afterAll(() => rmSync(folder, { recursive: true }));
const scripts = fileURLToPath(new URL("../../../bench/peers/torch/", import.meta.url));
const hasPython = spawnSync("python3", ["--version"]).status === 0;

/** A peer whose measurements are made up. */
function script(body: string): string {
  const file = join(folder, `${Math.random()}.py`);
  writeFileSync(
    file,
    `import json, sys, time
peer, settings_file, result_file = sys.argv[1:]
settings = json.load(open(settings_file))
def write(results):
    json.dump({"torch": "2.9", "device": "a GPU", "peakBytes": 14e9, "results": results}, open(result_file, "w"))
${body}
`,
  );
  return file;
}

const settings = (body: string, limitSeconds = 20): TorchSettings => ({
  peer: "hydra",
  model: namedShape("llama-3.1-8b"),
  tree: namedTree("mc_sim_7b_63"),
  contexts: [512],
  steps: 4,
  rounds: 2,
  limitSeconds,
  script: script(body),
});

describe.skipIf(!hasPython)("a torch peer (needs python3)", () => {
  it("is told shape and tree, and its results are read", async () => {
    const report = await runTorchPeer(
      settings(
        'write([{"name": f"{peer} {settings[\'shape\'][\'kv_heads\']} {len(settings[\'parents\'])} {max(settings[\'ranks\'])}", "how": "x", "ms": [1, 2], "tokens": [5]}])',
      ),
    );
    expect(report).toEqual({
      torch: "2.9",
      device: "a GPU",
      peakBytes: 14e9,
      results: [{ name: "hydra 8 64 9", how: "x", ms: [1, 2], tokens: [5] }],
    });
  });

  it("counts with what it had when its time was up, or when it died", async () => {
    const late = await runTorchPeer(
      settings('write([{"name": "eager", "skipped": "no"}])\ntime.sleep(60)', 1.5),
    );
    expect(late).toMatchObject({ results: [{ skipped: "no" }], cut: "ended after 1.5 s" });
    const dead = await runTorchPeer(settings('write([])\nraise ValueError("too bad")'));
    expect(dead.cut).toBe("ValueError: too bad");
  });

  it("that measures nothing says why", async () => {
    await expect(
      runTorchPeer(settings('raise ImportError("No module named torch")')),
    ).rejects.toThrow("The torch peer measured nothing: ImportError: No module named torch.");
    await expect(runTorchPeer({ ...settings(""), python: "/no/python" })).rejects.toMatchObject({
      code: "bench/peer",
    });
  });

  it("is a script that Python understands, every file of it", () => {
    const files = readdirSync(scripts).filter((name) => name.endsWith(".py"));
    expect(files).toContain("main.py");
    const program = "import ast, sys\nfor f in sys.argv[1:]: ast.parse(open(f).read(), f)";
    const { status, stderr } = spawnSync(
      "python3",
      ["-c", program, ...files.map((name) => join(scripts, name))],
      { encoding: "utf8" },
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });
});

describe("what torch peers measured", () => {
  it("is compared with the eager loop: a graph to the last token, compiled code in its first", async () => {
    const file = join(folder, "part.json");
    const part = new PartContext("cuda", file);
    const one = (name: string, tokens: number[]) => ({ name, how: "so", ms: [1, 2, 3], tokens });
    await note(part, "plain", {
      torch: "2.9",
      device: "a GPU",
      peakBytes: 14e9,
      results: [
        one("eager at 512", [1, 2, 3, 4]),
        one("eager at 2048", [7, 8]),
        one("CUDA graph at 512", [1, 2, 3, 5]),
        one("compiled CUDA graph at 512", [1, 9, 9, 9]),
        one("compiled CUDA graph at 2048", [9, 8]),
        { name: "CUDA graph at 2048", skipped: "no memory" },
      ],
    });
    const { figures, failed, passed, skipped, notes } = JSON.parse(readFileSync(file, "utf8"));
    expect(Object.keys(figures)).toHaveLength(5);
    expect(passed).toBe(1);
    expect(failed.map(({ name }: { name: string }) => name)).toEqual([
      "plain, CUDA graph at 512: the eager loop's tokens",
      "plain, compiled CUDA graph at 2048: the eager loop's tokens",
    ]);
    expect(skipped).toEqual([{ name: "plain, CUDA graph at 2048", reason: "no memory" }]);
    expect(notes["plain, CUDA graph at 512: tokens as the eager loop's"]).toBe("3 of 4");
  });

  it("agrees as far as the texts are the same", () => {
    expect(commonTokens([1, 2, 3], [1, 2, 4])).toBe(2);
    expect(commonTokens([1, 2], [1, 2, 4])).toBe(2);
    expect(commonTokens([], [1])).toBe(0);
  });
});

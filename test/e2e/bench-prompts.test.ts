import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PromptsResults } from "../../bench/prompts/results.ts";
import { bench, type CliResult, hydra } from "../helpers/cli.ts";

const demo = (name: string) => fileURLToPath(new URL(`../../demo/model/${name}`, import.meta.url));
const heads = demo("heads/hydra");

describe("bench prompts on the demo model", { timeout: 60_000 }, () => {
  let directory: string;
  let result: CliResult;
  let results: PromptsResults;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "hydrant-bench-prompts-"));
    const file = (name: string) => join(directory, name);
    const questions = [
      { question_id: 1, category: "story", turns: ["Once upon a time", "The next day"] },
      { question_id: "q", category: "dialogue", turns: ['"Who are you?" asked the king.'] },
      // Longer than the context: the beginning has to go.
      { question_id: 3, category: "long", turns: ["the wolf and ".repeat(60)], reference: ["x"] },
    ];
    await writeFile(file("q.jsonl"), questions.map((each) => JSON.stringify(each)).join("\n"));
    const flags = {
      "--prompts": file("q.jsonl"),
      "--heads": heads,
      "--device": "cpu",
      "--threads": "1",
      "--context": "160",
      "--max-new-tokens": "24",
      "--rounds": "1",
      "--sweep": "3,12",
      "--best-tree": "12",
      "--out": file("best.json"),
      "--json": file("results.json"),
    };
    result = await bench(["prompts", ...Object.entries(flags).flat()]);
    results = JSON.parse(await readFile(file("results.json"), "utf8")).prompts;
  }, 60_000);
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("ends well and prints its tables", () => {
    expect(result.stderr).toContain("hydra: round 1 of 1");
    expect(result.code).toBe(0);
    expect(result.stdout).toContain("4 turns");
    expect(result.stdout).toContain("cut from the left: 1.");
    expect(result.stdout).toContain("Every text equals plain decoding's");
  });

  it("measures plain decoding and the heads on the same turns, with the same texts", () => {
    const [plain, drafted] = results.methods;
    expect(results).toMatchObject({ prompts: 3, turns: 4, device: "cpu", sampling: "greedy" });
    expect(plain).toMatchObject({ name: "plain", nodes: 0, same: { texts: 4, of: 4 } });
    expect(plain?.overall).toMatchObject({ turns: 4, tokensPerStep: 1, newTokens: 96, steps: 96 });
    expect(drafted).toMatchObject({ name: "hydra", nodes: 63, same: { texts: 4, of: 4 } });
    expect(drafted?.overall.newTokens).toBe(96);
    expect(drafted?.overall.tokensPerStep).toBeGreaterThan(2);
    expect(drafted?.categories.map(({ category }) => category)).toEqual([
      "story",
      "dialogue",
      "long",
    ]);
  });

  it("counts acceptance at every position, and its replay is what decoding did", () => {
    const acceptance = results.methods[1]?.acceptance;
    expect(acceptance?.trials).toEqual([23, 22, 21, 20].map((positions) => 4 * positions));
    for (const row of acceptance?.table ?? []) {
      expect(row).toHaveLength(10);
      const total = row.reduce((sum, share) => sum + share, 0);
      expect(total).toBeGreaterThan(0.5);
      expect(total).toBeLessThanOrEqual(1 + 1e-9);
    }
    expect(acceptance?.check.sameSteps).toEqual({ turns: 4, of: 4 });
    const sweep = results.methods[1]?.sweep ?? [];
    expect(sweep.map(({ nodes }) => nodes)).toEqual([12, 3]);
    for (const point of sweep) expect(point.sameSteps).toEqual({ turns: 4, of: 4 });
    expect(sweep[0]?.expected).toBeGreaterThan(sweep[1]?.expected ?? Number.POSITIVE_INFINITY);
  });

  it("writes a tree that generate takes, and that takes it through the text in fewer steps", async () => {
    const tree = join(directory, "best.json");
    expect(JSON.parse(await readFile(tree, "utf8"))).toEqual(results.methods[1]?.sweep?.[0]?.paths);
    const generate = async (flags: string[]) => {
      const model = [
        "--model",
        demo("base"),
        "--heads",
        heads,
        "--device",
        "cpu",
        "--method",
        "hydra",
      ];
      const text = ["--prompt", "Once upon a time", "--max-new-tokens", "40", "--json"];
      return JSON.parse((await hydra(["generate", ...model, ...text, ...flags])).stdout);
    };
    const best = await generate(["--tree", tree]);
    const single = await generate(["--tree", "single"]);
    expect(best.tokens).toEqual(single.tokens);
    expect(best.stats.steps).toBeLessThan(single.stats.steps);
  });

  it("says by file and line what is wrong with a prompt file, before anything is loaded", async () => {
    const bad = join(directory, "bad.jsonl");
    await writeFile(bad, '{"question_id": 1, "category": "a", "turns": []}\n');
    const { code, stderr } = await bench(["prompts", "--prompts", bad]);
    expect(code).toBe(1);
    expect(stderr).toContain(`${bad}:1: turns is not a list`);
  });
});

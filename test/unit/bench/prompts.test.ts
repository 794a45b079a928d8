import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plainText } from "../../../bench/prompts/conversations.ts";
import {
  summarise,
  summariseCategories,
  survival,
  type TurnRun,
} from "../../../bench/prompts/decode-turns.ts";
import {
  parseQuestions,
  type Question,
  selectQuestions,
} from "../../../bench/prompts/questions.ts";
import { spreadOut } from "../../../bench/prompts/sweep.ts";
import { formatTree } from "../../../bench/prompts/tree-file.ts";
import { bestTree } from "../../../src/speculation/acceptance-table.ts";
import { parseTreeJson } from "../../../src/speculation/tree-json.ts";
import { arbitraryTree, fixed } from "../speculation/arbitrary-tree.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const line = (fields: object) =>
  JSON.stringify({ question_id: 1, category: "a", turns: ["x"], ...fields });

const arbitraryQuestion: fc.Arbitrary<Question> = fc.record({
  id: fc.oneof(fc.nat().map(String), fc.string()),
  category: fc.string().filter((text) => text.trim() !== ""),
  turns: fc.array(
    fc.string().filter((text) => text.trim() !== ""),
    { minLength: 1, maxLength: 3 },
  ),
});

describe("prompt files", () => {
  it("give back what was written, whatever else is in the lines and between them", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(arbitraryQuestion, fc.dictionary(fc.string(), fc.json())), {
          minLength: 1,
        }),
        fc.constantFrom("\n", "\r\n", "\n\n", "\n  \n"),
        (questions, between) => {
          const lines = questions.map(([{ id, category, turns }, others]) =>
            JSON.stringify({ ...others, question_id: id, category, turns }),
          );
          const parsed = parseQuestions(`\uFEFF${lines.join(between)}${between}`, "f.jsonl");
          expect(parsed).toEqual(questions.map(([question]) => question));
        },
      ),
      fixed(),
    );
  });

  it("take numbers as ids", () => {
    expect(parseQuestions(line({ question_id: 81, reference: ["y"] }), "f")[0]?.id).toBe("81");
  });

  it.each([
    ["{", "Not JSON"],
    ["[]", "no JSON object"],
    ["null", "no JSON object"],
    [line({ question_id: null }), "question_id"],
    [line({ category: "" }), "category"],
    [line({ category: 3 }), "category"],
    [line({ turns: "x" }), "turns"],
    [line({ turns: [] }), "turns"],
    [line({ turns: ["x", 3] }), "Turn 1"],
    [line({ turns: [" "] }), "Turn 0"],
  ])("are refused by file and line: %s", (bad, message) => {
    const read = () => parseQuestions(`${line({})}\n\n${bad}\n`, "dir/set.jsonl");
    expect(read).toThrow(message);
    expect(read).toThrow(
      expect.objectContaining({ code: "prompts/question", path: "dir/set.jsonl:3" }),
    );
  });

  it("are refused when they are empty", () => {
    expect(() => parseQuestions(" \n\n", "f")).toThrow(
      expect.objectContaining({ code: "prompts/empty" }),
    );
  });

  it("never fail with anything but a message for people", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          parseQuestions(text, "f");
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^prompts\//) });
        }
      }),
      fixed(),
    );
  });

  it("of our own have eight categories of four questions", () => {
    const file = path("../../../bench/prompts/own.jsonl");
    const questions = parseQuestions(readFileSync(file, "utf8"), file);
    const inEach = new Map<string, number>();
    for (const { category } of questions) inEach.set(category, (inEach.get(category) ?? 0) + 1);
    expect([...inEach.values()]).toEqual(Array(8).fill(4));
    expect(new Set(questions.map(({ id }) => id)).size).toBe(questions.length);
  });

  describe.each([
    ["mt_bench", 80, 160],
    ["spec_bench", 480, 560],
  ])("of the public set %s (needs ../shared/prompts)", (name, count, turns) => {
    const file = path(`../../../../shared/prompts/${name}.jsonl`);
    it.skipIf(!existsSync(file))("are read whole", () => {
      const questions = parseQuestions(readFileSync(file, "utf8"), file);
      expect(questions).toHaveLength(count);
      expect(questions.flatMap((question) => question.turns)).toHaveLength(turns);
    });
  });
});

describe("a selection of questions", () => {
  const questions = ["a", "b", "a", "a", "b", "c"].map((category, id) => ({
    id: String(id),
    category,
    turns: ["x"],
  }));
  const ids = (selection: object) =>
    selectQuestions(questions, selection).map(({ id }) => Number(id));

  it("takes the first of every category, then the first of all", () => {
    expect(ids({})).toEqual([0, 1, 2, 3, 4, 5]);
    expect(ids({ perCategory: 1 })).toEqual([0, 1, 5]);
    expect(ids({ perCategory: 2, limit: 3 })).toEqual([0, 1, 2]);
  });
});

describe("a base model's conversation", () => {
  it("continues the text, and begins a paragraph with every question", () => {
    const user = (content: string) => ({ role: "user" as const, content });
    const messages = [
      user("Once"),
      { role: "assistant" as const, content: " there was." },
      user("Then"),
    ];
    expect(plainText(messages)).toBe("Once there was.\n\nThen");
  });
});

describe("figures of answers", () => {
  const run = (category: string, committed: number[], decodeMs: number): TurnRun => ({
    category,
    committed,
    newTokens: committed.reduce((sum, count) => sum + count, 0),
    decodeMs,
    same: true,
  });
  const plain = [[run("a", [1, 1, 1, 1], 8), run("b", [1, 1], 4)]];
  const drafted = [[run("a", [3, 1], 4), run("b", [2], 1)]];

  it("weigh turns by their tokens and time", () => {
    const overall = summarise("overall", drafted, plain);
    expect(overall).toMatchObject({ turns: 2, steps: 3, newTokens: 6, tokensPerStep: 2 });
    expect(overall.tokensPerSecond.median).toBeCloseTo(1200, 9);
    expect(overall.speedup.median).toBeCloseTo(1200 / 500, 9);
  });

  it("compare each round with plain decoding's of the same round", () => {
    const slow = [[run("a", [1], 1)], [run("a", [1], 10)]];
    const fast = [[run("a", [1], 0.5)], [run("a", [1], 5)]];
    expect(summarise("a", fast, slow).speedup).toEqual({ median: 2, min: 2, max: 2 });
  });

  it("keep categories apart, in the order of their first turn", () => {
    const rows = summariseCategories(drafted, plain);
    expect(rows.map(({ category, tokensPerStep }) => [category, tokensPerStep])).toEqual([
      ["a", 2],
      ["b", 2],
    ]);
    expect(rows[1]?.speedup.median).toBeCloseTo(4, 9);
  });

  it("tell how many steps came how deep", () => {
    expect(survival(drafted.flat(), 3)).toEqual([2 / 3, 1 / 3, 0]);
  });
});

describe("tree files", () => {
  it("are read back as the tree that was written", () => {
    fc.assert(
      fc.property(arbitraryTree(), (tree) => {
        expect(parseTreeJson(formatTree(tree), "t.json").key).toBe(tree.key);
      }),
      fixed(),
    );
  });

  it("hold the best tree of a table, a depth to a line", () => {
    const text = formatTree(bestTree([[0.6, 0.2], [0.5]], 4));
    expect(text).toBe("[\n  [0], [1],\n  [0,0], [1,0]\n]\n");
    expect(parseTreeJson(text, "best.json").paths.slice(1)).toEqual([[0], [1], [0, 0], [1, 0]]);
  });
});

describe("a sample of turns", () => {
  it("comes from the whole length of the list", () => {
    expect(spreadOut([0, 1, 2, 3, 4, 5, 6], 3)).toEqual([0, 2, 4]);
    expect(spreadOut([0, 1], 3)).toEqual([0, 1]);
  });
});

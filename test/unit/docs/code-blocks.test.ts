import { describe, expect, it } from "vitest";
import { codeBlocks } from "./documents.ts";
import { hasPlaceholder, outputPattern } from "./workplace.ts";

const fence = "```";

describe("a document's blocks", () => {
  it("carry the marks in the comments before them", () => {
    const blocks = codeBlocks(
      "page.md",
      [
        "Text.",
        "<!-- file: a.ts -->",
        `${fence}ts`,
        "export {};",
        fence,
        "",
        "<!-- not run: needs a GPU -->",
        "",
        `${fence}sh`,
        "npm test",
        fence,
        "",
      ].join("\n"),
    );
    expect(blocks).toEqual([
      expect.objectContaining({ language: "ts", line: 3, file: "a.ts", notRun: undefined }),
      expect.objectContaining({
        language: "sh",
        line: 9,
        code: "npm test\n",
        notRun: "needs a GPU",
      }),
    ]);
  });

  it("carry the output that is shown after them", () => {
    const blocks = codeBlocks(
      "page.md",
      `${fence}sh\necho 1\n${fence}\n\n<!-- output -->\n${fence}text\n1\n${fence}\n`,
    );
    expect(blocks).toMatchObject([{ code: "echo 1\n", output: "1\n" }]);
  });

  it("cannot show the output of nothing", () => {
    expect(() => codeBlocks("page.md", `<!-- output -->\n${fence}text\n1\n${fence}\n`)).toThrow(
      "page.md:2",
    );
  });
});

describe("shown output", () => {
  it.each([
    ["a\nb\n", "a\nb\n"],
    ["a  \nb\n", "a\nb\n"],
    ["a\nx\ny\nb\n", "a\n…\nb\n"],
    ["a\nb\n", "a\n…\nb\n"],
    ["took 3.2 ms (all)\n", "took … ms (all)\n"],
  ])("%j is what %j says", (actual, expected) => {
    expect(actual).toMatch(outputPattern(expected));
  });

  it.each([
    ["a\nb\nc\n", "a\nb\n"],
    ["a\nx\nb\n", "a\nb\n"],
    ["took long\n", "took … ms\n"],
    ["axb\n", "a.b\n"],
  ])("%j is not what %j says", (actual, expected) => {
    expect(actual).not.toMatch(outputPattern(expected));
  });
});

describe("a placeholder", () => {
  it.each(["--model DIR", "--heads DIR/heads", "run FILE.cu", "--dir=DIR"])("is in %s", (code) => {
    expect(hasPlaceholder(code)).toBe(true);
  });
  it.each(['--prompt "ONCE upon a TIME"', "--arch sm_80", "LD_X=1 run", "--stage cuda"])(
    "is not in %s",
    (code) => {
      expect(hasPlaceholder(code)).toBe(false);
    },
  );
});

import { expect, test } from "vitest";
import { parseTreeJson } from "../../../src/speculation/tree-json.ts";

test("a JSON tree is named after its file", () => {
  const tree = parseTreeJson("[[0], [0, 0], [1]]", "trees/mine.json");
  expect(tree.name).toBe("mine");
  expect(tree.size).toBe(4);
});

test.each([
  ["text that is not JSON", "[[0],", "tree/json"],
  ["an object", '{"0": []}', "tree/json"],
  ["a number instead of a path", "[0]", "tree/json"],
  ["a word instead of a rank", '[["0"]]', "tree/json"],
  ["nothing instead of a rank", "[[null]]", "tree/json"],
  ["lists nested too deep to print", `[[${"[".repeat(1e5)}${"]".repeat(1e5)}]]`, "tree/json"],
  ["a tree that is not closed", "[[0, 0]]", "tree/missing-parent"],
])("%s is refused with the file's name", (_, text, code) => {
  expect(() => parseTreeJson(text, "trees/mine.json")).toThrow(
    expect.objectContaining({ code, path: "trees/mine.json" }),
  );
});

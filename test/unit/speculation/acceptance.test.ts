import { describe, expect, test } from "vitest";
import { acceptMatch, acceptTypical } from "../../../src/ir/reference/accept.ts";
import { acceptanceNames, resolveAcceptance } from "../../../src/speculation/acceptance.ts";

describe("an acceptance rule", () => {
  test("follows from the temperature unless named", () => {
    expect(resolveAcceptance()).toMatchObject({ rule: "greedy", lossless: true });
    expect(resolveAcceptance({ sampling: { temperature: 0.7 } })).toMatchObject({
      rule: "sample",
      lossless: true,
    });
  });

  test("has the published defaults when typical, and says that it is lossy", () => {
    const rule = resolveAcceptance({ rule: "typical", sampling: { temperature: 0.7 } });
    expect(rule).toMatchObject({ lossless: false, posteriorThreshold: 0.09, posteriorAlpha: 0.3 });
  });

  test("may be called sample at temperature 0", () => {
    expect(resolveAcceptance({ rule: "sample" })).toMatchObject({ rule: "sample" });
  });

  test("must be known", () => {
    expect(() => resolveAcceptance({ rule: "nucleus" })).toThrow(
      expect.objectContaining({
        code: "acceptance/unknown-rule",
        hint: `Known: ${acceptanceNames.join(", ")}.`,
      }),
    );
  });

  test.each([
    ["greedy with a temperature", { rule: "greedy", sampling: { temperature: 1 } }],
    ["typical with top-k", { rule: "typical", sampling: { temperature: 1, topK: 5 } }],
    ["typical with top-p", { rule: "typical", sampling: { temperature: 1, topP: 0.9 } }],
    ["typical with a penalty", { rule: "typical", sampling: { repetitionPenalty: 1.1 } }],
  ])("cannot be %s", (_, options) => {
    expect(() => resolveAcceptance(options)).toThrow(
      expect.objectContaining({ code: "acceptance/conflict" }),
    );
  });

  test.each([
    { posteriorThreshold: 0 },
    { posteriorThreshold: 1.1 },
    { posteriorAlpha: 0 },
    { posteriorAlpha: Number.NaN },
  ])("refuses %o", (given) => {
    expect(() => resolveAcceptance({ rule: "typical", ...given })).toThrow(
      expect.objectContaining({ code: "acceptance/params" }),
    );
  });
});

test("sample-and-match and typical acceptance differ on a likely second choice", () => {
  const tree = { parents: Int32Array.of(-1, 0), tokens: Int32Array.of(0, 1) };
  const logitsOf = () => Float32Array.of(1, 0.9);
  const greedy = acceptMatch(tree, logitsOf, resolveAcceptance().sampling, { length: 3 });
  const typical = resolveAcceptance({ rule: "typical", sampling: { temperature: 1 } });
  if (typical.rule !== "typical") throw new Error("the rule asked for");
  expect(greedy).toEqual({ path: [0], next: 0 });
  expect(acceptTypical(tree, logitsOf, { ...typical.sampling, ...typical })).toEqual({
    path: [0, 1],
    next: 0,
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopStringMatcher } from "../../../src/text/stop-strings.ts";

function run(
  stops: readonly string[],
  chunks: readonly string[],
): { text: string; stopped?: string } {
  const matcher = new StopStringMatcher(stops);
  let text = "";
  for (const chunk of chunks) {
    const result = matcher.push(chunk);
    text += result.text;
    if (result.stopped !== undefined) return { text, stopped: result.stopped };
  }
  return { text: text + matcher.flush() };
}

/** The definition: read character by character until the text ends in a stop string. */
function byDefinition(stops: readonly string[], text: string): { text: string; stopped?: string } {
  for (let end = 1; end <= text.length; end++) {
    const complete = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    const longest = complete.sort((a, b) => b.length - a.length)[0];
    if (longest !== undefined)
      return { text: text.slice(0, end - longest.length), stopped: longest };
  }
  return { text };
}

describe("StopStringMatcher", () => {
  it("finds a stop string across pushes and returns the text before it", () => {
    expect(run(["</s>"], ["Hello <", "/", "s", "> more"])).toEqual({
      text: "Hello ",
      stopped: "</s>",
    });
  });

  it("holds back only what may become a stop string, and lets it go when it does not", () => {
    const matcher = new StopStringMatcher(["USER:"]);
    expect(matcher.push("abc US")).toEqual({ text: "abc " });
    expect(matcher.push("A")).toEqual({ text: "USA" });
    expect(matcher.push("USUS")).toEqual({ text: "US" });
    expect(matcher.flush()).toBe("US");
  });

  it("lets the stop string win that is complete first, and of equals the longest", () => {
    expect(run(["bcd", "c"], ["abcd"])).toEqual({ text: "ab", stopped: "c" });
    expect(run(["c", "abc"], ["xabc"])).toEqual({ text: "x", stopped: "abc" });
  });

  it("does as if text came character by character, however it is cut", () => {
    const letters = (max: number, min = 0) =>
      fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: min, maxLength: max });
    fc.assert(
      fc.property(
        fc.array(letters(4, 1), { maxLength: 4 }),
        fc.array(letters(5), { maxLength: 10 }),
        (stops, chunks) => {
          expect(run(stops, chunks)).toEqual(byDefinition(stops, chunks.join("")));
        },
      ),
      { seed: 2, numRuns: 2000 },
    );
  });

  it("drops everything after the stop", () => {
    const matcher = new StopStringMatcher(["x"]);
    matcher.push("ax");
    expect(matcher.push("more")).toEqual({ text: "", stopped: "x" });
    expect(matcher.flush()).toBe("");
    expect(matcher.stopped).toBe("x");
  });

  it("refuses an empty stop string", () => {
    expect(() => new StopStringMatcher(["a", ""])).toThrow(/would stop at once/);
  });
});

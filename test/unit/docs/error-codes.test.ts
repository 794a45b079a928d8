import { describe, expect, it } from "vitest";
import { readDocument } from "./documents.ts";
import { errorCodes } from "./error-codes.ts";

describe("docs/troubleshooting.md", () => {
  const listed = [...readDocument("docs/troubleshooting.md").matchAll(/^\| (`[^|]*) \|/gm)]
    .flatMap(([, cell = ""]) => [...cell.matchAll(/`([a-z0-9-]+\/[a-z0-9-]+)`/g)])
    .map(([, code = ""]) => code);
  const thrown = errorCodes();

  it("has every code that is thrown", () => {
    expect(thrown.size).toBeGreaterThan(150);
    expect([...thrown].filter((code) => !listed.includes(code))).toEqual([]);
  });

  it("has no code that nothing throws", () => {
    expect(listed.filter((code) => !thrown.has(code))).toEqual([]);
  });

  it("has every code once", () => {
    expect(listed.filter((code, i) => listed.indexOf(code) !== i)).toEqual([]);
  });
});

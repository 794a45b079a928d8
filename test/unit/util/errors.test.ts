import { describe, expect, it } from "vitest";
import { HydrantError } from "../../../src/util/errors.ts";

describe("an error on one line", () => {
  it("has place, message and hint", () => {
    const error = new HydrantError("a/b", "It broke.", { path: "x.bin", hint: "Mend it." });
    expect(error.oneLine).toBe("x.bin: It broke. Mend it.");
  });

  it("is one line, and cannot steer the terminal, whatever names it quotes", () => {
    const error = new HydrantError("a/b", "Bad\n  name.", { path: "a\u001b[31m\u0007\r" });
    expect(error.oneLine).toBe("a\uFFFD[31m\uFFFD\uFFFD: Bad name.");
  });
});

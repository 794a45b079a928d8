import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CompileError, numberLines } from "../../../runtime/nvrtc/compile-error.ts";

const error = (log: string, source = "a\nb\nc\n", name = "k.cu") =>
  new CompileError({
    source,
    fileName: name,
    headers: {},
    options: ["--gpu-architecture=sm_80", "--define-macro=A=b c", "--std=c++17"],
    log,
  });

const home = mkdtempSync(join(tmpdir(), "hydrant-home-"));
beforeAll(() => {
  vi.stubEnv("HYDRANT_CACHE_DIR", home);
});
afterAll(() => rmSync(home, { recursive: true }));

describe("a failed compilation", () => {
  it("names the first error and its line, and shows log, numbered source and command", () => {
    const failure = error('k.cu(2): error: identifier "x" is undefined\n\n1 error detected.\n');
    expect(failure.path).toBe("k.cu:2");
    expect(failure.message).toBe('The kernel does not compile: identifier "x" is undefined.');
    expect(failure.details).toContain("1 error detected.");
    expect(failure.details).toContain("  1 | a\n> 2 | b\n  3 | c");
    expect(failure.repro).toMatch(/^nvcc --cubin -arch=sm_80 '-DA=b c' --std=c\+\+17 -o .*k\.cu$/);
    expect(failure.oneLine).not.toContain("\n");
  });

  it("keeps the source for the command, with the headers it includes beside it", () => {
    const source = '#include "prelude/types.cuh"\n';
    const { repro } = new CompileError({
      source,
      fileName: "norm.cu",
      headers: { "prelude/types.cuh": "// types" },
      options: [],
      log: "",
    });
    const file = repro.split(" ").at(-1) ?? "";
    expect(readFileSync(file, "utf8")).toBe(source);
    expect(readFileSync(join(dirname(file), "prelude/types.cuh"), "utf8")).toBe("// types");
  });

  it("reads errors with numbers and catastrophic ones", () => {
    expect(error("k.cu(3): error #20: no such thing\n").path).toBe("k.cu:3");
    expect(error('k.cu(1): catastrophic error: cannot open "x.h"\n').path).toBe("k.cu:1");
  });

  it("shows what NVRTC says about an option, which has no line", () => {
    const failure = error("nvrtc: error: unrecognized option --nope found\n");
    expect(failure.path).toBe("k.cu");
    expect(failure.message).toContain("unrecognized option --nope");
  });

  it("shows long sources around the errors only", () => {
    const source = Array.from({ length: 500 }, (_, i) => `line ${i + 1}`).join("\n");
    const text = numberLines(source, [250]);
    expect(text).toContain("> 250 | line 250");
    expect(text).toContain("  244 | line 244");
    expect(text).not.toContain("line 243");
    expect(text.split("\n")).toHaveLength(14);
  });
});

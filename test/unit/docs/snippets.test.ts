import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { compileCuda } from "../../../runtime/nvrtc/compile.ts";
import { cudaHeaders } from "../../../src/api/cuda-headers.ts";
import { installedNvrtc, NO_NVRTC } from "../../compile/nvrtc-here.ts";
import {
  allBlocks,
  type CodeBlock,
  codeBlocks,
  documents,
  readDocument,
  root,
} from "./documents.ts";
import { hasPlaceholder, outputPattern, Workplace } from "./workplace.ts";

// Every block is a process of its own; more than two at a time only wait for each other.
vi.setConfig({ maxConcurrency: 2, testTimeout: 120_000 });

const nvrtc = installedNvrtc().at(0)?.nvrtc;
const command = "npm run -s hydra --";

function isRun(block: CodeBlock): boolean {
  if (block.notRun !== undefined || block.file !== undefined) return false;
  if (block.language === "ts") return true;
  return block.language === "sh" && block.code.startsWith(command) && !hasPlaceholder(block.code);
}

describe("code in the documents", () => {
  const workplaces = new Map<string, Workplace>();
  beforeAll(() => {
    for (const document of documents) {
      const blocks = allBlocks.filter((block) => block.document === document);
      if (blocks.some((block) => isRun(block) || block.file !== undefined))
        workplaces.set(document, new Workplace(blocks));
    }
  });
  afterAll(() => {
    for (const workplace of workplaces.values()) workplace.remove();
  });

  // In order within a document: a block may use what the one before it wrote.
  const withCode = documents.filter((name) => codeBlocks(name).some(isRun));
  describe.concurrent.each(withCode)("runs: %s", (document) => {
    for (const block of codeBlocks(document).filter(isRun)) {
      it.sequential(`${block.language} at line ${block.line}`, async ({ skip }) => {
        const workplace = workplaces.get(document);
        if (workplace === undefined) throw new Error("a document with code has a workplace");
        const { status, stdout, stderr } = await workplace.run(block);
        if (status !== 0 && nvrtc === undefined && stderr.includes("NVRTC")) skip(NO_NVRTC);
        expect(status, stderr).toBe(0);
        // Commands say on stderr how it went; a program of a document has nothing to say there.
        if (block.language === "ts") expect(stderr).toBe("");
        if (block.output !== undefined) expect(stdout).toMatch(outputPattern(block.output));
      });
    }
  });

  it("has the types it says", () => {
    const files = [...workplaces].flatMap(([document, workplace]) =>
      allBlocks
        .filter((block) => block.document === document && block.language === "ts")
        .map((block) => workplace.fileOf(block)),
    );
    const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
    const program = ts.createProgram(files, options);
    const wrong = files
      .map((file) => program.getSourceFile(file))
      .flatMap((source) => [
        ...program.getSyntacticDiagnostics(source),
        ...program.getSemanticDiagnostics(source),
      ]);
    expect(
      ts.formatDiagnostics(wrong, {
        getCurrentDirectory: () => root,
        getCanonicalFileName: (name) => name,
        getNewLine: () => "\n",
      }),
    ).toBe("");
  });

  it.each(allBlocks.filter(({ language }) => language === "json"))(
    "parses: $document, json at line $line",
    ({ code }) => {
      expect(() => JSON.parse(code)).not.toThrow();
    },
  );

  const cuda = allBlocks.filter(
    ({ language, notRun }) => language === "cuda" && notRun === undefined,
  );
  describe.skipIf(nvrtc === undefined)(nvrtc === undefined ? NO_NVRTC : "with NVRTC", () => {
    it.each(cuda)("compiles: $document, cuda at line $line", ({ code, document }) => {
      if (nvrtc === undefined) throw new Error(NO_NVRTC);
      const compiled = compileCuda(nvrtc, {
        source: code,
        name: document,
        arch: "sm_80",
        headers: cudaHeaders(code),
        options: [],
      });
      expect(compiled.ptx).toContain(".version");
    });
  });
});

describe("the documents", () => {
  it("say why a block is not run", () => {
    for (const { document, line, notRun } of allBlocks)
      expect(notRun, `${document}:${line}`).not.toBe("");
  });

  it("name scripts that exist", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const named = allBlocks
      .filter(({ language }) => language === "sh" || language === "")
      .flatMap(({ code }) => [...code.matchAll(/npm run (?:-s )?([\w:-]+)/g)]);
    expect(named.length).toBeGreaterThan(3);
    for (const [, script = ""] of named) expect(Object.keys(scripts)).toContain(script);
  });

  it.each(documents)("link to files and headings that exist: %s", (name) => {
    for (const [, target = ""] of readDocument(name).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [file = "", anchor] = target.split("#");
      const path = file === "" ? join(root, name) : join(root, name, "..", file);
      expect(existsSync(path), `${name} → ${target}`).toBe(true);
      if (anchor !== undefined)
        expect(headings(readFileSync(path, "utf8")), `${name} → ${target}`).toContain(anchor);
    }
  });

  it("are all in the index", () => {
    const index = readDocument("docs/README.md");
    for (const name of documents.filter((each) => each.startsWith("docs/")))
      if (name !== "docs/README.md") expect(index).toContain(`(${name.slice("docs/".length)})`);
  });
});

/** Anchors of a page's headings, as GitHub makes them. */
function headings(text: string): string[] {
  return [...text.replaceAll(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ (.*)$/gm)].map(
    ([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
  );
}

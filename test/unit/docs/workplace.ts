import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CodeBlock, root } from "./documents.ts";

/** What the blocks of a document may name: commands see a checkout in which only they write. */
const visible = [
  "bench",
  "codegen",
  "demo",
  "docs",
  "kernels",
  "node_modules",
  "package.json",
  "runtime",
  "scripts",
  "src",
  "test",
];

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A folder for one document's blocks: as deep in the checkout as docs/ is, so that imports resolve,
 * and with links to the checkout's folders, so that what commands write is gone afterwards.
 */
export class Workplace {
  readonly folder: string;

  constructor(blocks: readonly CodeBlock[]) {
    this.folder = mkdtempSync(join(root, ".snippets-"));
    for (const name of visible) symlinkSync(join(root, name), join(this.folder, name));
    for (const block of blocks) {
      if (block.file !== undefined || block.language === "ts") this.#write(block);
    }
  }

  /** Where a block of TypeScript is, or one with a name of its own. */
  fileOf({ file, line }: CodeBlock): string {
    return join(this.folder, file ?? `line-${line}.ts`);
  }

  /** Runs a block of `ts` or `sh` to its end. */
  run(block: CodeBlock): Promise<Finished> {
    const [program, ...args] =
      block.language === "ts"
        ? [process.execPath, "--import", "tsx", this.fileOf(block)]
        : ["bash", "-euc", block.code];
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        cwd: this.folder,
        // Not a terminal, but of a known width: tables are as wide for everyone.
        env: { ...process.env, COLUMNS: "120", NO_COLOR: "1" },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      child.once("error", reject);
      child.once("close", (status) => resolve({ status, stdout, stderr }));
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #write(block: CodeBlock): void {
    const file = this.fileOf(block);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, block.code.replaceAll('"hydrant"', '"../src/index.ts"'));
  }
}

/** `<angle brackets>` and words in capitals stand for something of the reader's: `--model DIR`. */
export function hasPlaceholder(code: string): boolean {
  return /(^|[\s=])[A-Z]{3,}(?=$|[\s./])/m.test(code.replaceAll(/"[^"]*"|'[^']*'/g, '""'));
}

/** The expected text as a pattern: a line `…` stands for any lines, `…` within a line for any text. */
export function outputPattern(expected: string): RegExp {
  const lines = expected
    .trimEnd()
    .split("\n")
    .map((line) =>
      line.trim() === "…" ? "(?:.*\\n)*?" : `${line.split("…").map(escaped).join(".*")}[ ]*\\n`,
    );
  return new RegExp(`^${lines.join("")}$`);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { cacheDirectory } from "../../src/util/cache-directory.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { makeDirectory } from "../../src/util/make-directory.ts";

/** Lines kept around each error when a source is too long to show whole. */
const CONTEXT_LINES = 6;
const WHOLE_SOURCE_LINES = 120;

/**
 * CUDA source that does not compile. `message` is the first error; `details` is all a person needs
 * to find it: the log, the source with line numbers, and a command that shows it again.
 */
export class CompileError extends HydrantError {
  override readonly name = "CompileError";
  readonly log: string;
  readonly details: string;
  readonly repro: string;

  constructor(failure: {
    readonly source: string;
    readonly fileName: string;
    readonly options: readonly string[];
    readonly headers: Readonly<Record<string, string>>;
    readonly log: string;
  }) {
    const { source, fileName, options, headers } = failure;
    const log = failure.log.trim();
    const first = firstError(log);
    const repro = reproCommand({ source, fileName, headers }, options);
    super("nvrtc/compile", first.message, {
      path: first.line === undefined ? fileName : `${first.file ?? fileName}:${first.line}`,
      hint: `Reproduce with: ${repro}`,
    });
    this.log = log;
    this.repro = repro;
    this.details = [
      log,
      `--- ${fileName} ---`,
      numberLines(source, errorLines(log, fileName)),
      `--- reproduce ---`,
      repro,
    ].join("\n");
  }
}

interface FirstError {
  readonly message: string;
  readonly file?: string;
  readonly line?: number;
}

function firstError(log: string): FirstError {
  const found = /^(.+?)\((\d+)\): (?:catastrophic )?error(?: #[\w-]+)?: (.+)$/m.exec(log);
  if (found !== null) {
    return {
      file: found[1] ?? "",
      line: Number(found[2]),
      message: `The kernel does not compile: ${(found[3] ?? "").replace(/[.]?$/, ".")}`,
    };
  }
  const line = log.split("\n").find((text) => /error|invalid|unrecognized/i.test(text));
  return { message: `The kernel does not compile: ${line ?? (log || "no message")}.` };
}

function errorLines(log: string, fileName: string): number[] {
  const lines: number[] = [];
  for (const match of log.matchAll(/^(.+?)\((\d+)\): (?:catastrophic )?error/gm)) {
    if (match[1] === fileName) lines.push(Number(match[2]));
  }
  return lines;
}

/** The source with line numbers: whole when short, else the neighbourhood of each error. */
export function numberLines(source: string, errors: readonly number[]): string {
  const lines = source.replace(/\n$/, "").split("\n");
  const width = String(lines.length).length;
  const whole = lines.length <= WHOLE_SOURCE_LINES || errors.length === 0;
  const wrong = new Set(errors);
  const out: string[] = [];
  let skipped = false;
  for (const [index, text] of lines.entries()) {
    const number = index + 1;
    if (!whole && !errors.some((error) => Math.abs(error - number) <= CONTEXT_LINES)) {
      skipped = true;
      continue;
    }
    if (skipped) out.push("   ...");
    skipped = false;
    out.push(`${wrong.has(number) ? ">" : " "} ${String(number).padStart(width)} | ${text}`);
  }
  return out.join("\n");
}

interface SourceText {
  readonly source: string;
  readonly fileName: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** An nvcc command with the same meaning; the source is kept in the cache unless it is a file. */
function reproCommand(text: SourceText, options: readonly string[]): string {
  const flags = nvccOptions(options).map(quote);
  return ["nvcc", ...flags, "-o", "/dev/null", quote(keepSource(text))].join(" ");
}

/** NVRTC's options as nvcc takes them. */
export function nvccOptions(options: readonly string[]): string[] {
  return options.flatMap((option) => {
    const [flag = "", value = ""] = splitOption(option);
    switch (flag) {
      case "--gpu-architecture":
        return value.startsWith("sm_")
          ? ["--cubin", `-arch=${value}`]
          : ["--ptx", `-arch=${value}`];
      case "--define-macro":
        return [`-D${value}`];
      case "--generate-line-info":
        return ["-lineinfo"];
      default:
        return [option];
    }
  });
}

const splitOption = (option: string): [string, string] => {
  const at = option.indexOf("=");
  return at < 0 ? [option, ""] : [option.slice(0, at), option.slice(at + 1)];
};

const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** Path of a file with this source, its headers beside it where the compiler finds them. */
function keepSource({ source, fileName, headers }: SourceText): string {
  try {
    const included = Object.entries(headers).filter(([name]) => source.includes(name));
    if (included.length === 0 && existsSync(fileName)) {
      if (readFileSync(fileName, "utf8") === source) return fileName;
    }
    const hash = createHash("sha256").update(source).digest("hex").slice(0, 16);
    const folder = join(cacheDirectory(), "failed", hash);
    const path = join(folder, basename(fileName));
    makeDirectory(folder);
    writeFileSync(path, source);
    if (included.length > 0) {
      for (const [name, text] of Object.entries(headers)) {
        makeDirectory(dirname(join(folder, name)));
        writeFileSync(join(folder, name), text);
      }
    }
    return path;
  } catch {
    return fileName; // No place to keep it: the numbered source is in the error all the same.
  }
}

import type { SubjectOptions } from "./subject.ts";

/** The command line that looks at the same thing, `hydra inspect …`. */
export function inspectCommand(options: SubjectOptions): string {
  const flags: readonly (readonly [string, string | number | undefined])[] = [
    ["--model", options.model],
    ["--shape", options.shape],
    ["--heads", options.heads],
    ["--tree", options.tree],
    ["--graph", options.graph === "step" ? undefined : options.graph],
    ["--rows", options.graph === "prefill" ? options.rows : undefined],
    ["--arch", options.arch],
    ["--multiprocessors", options.multiprocessors],
    ["--precision", options.precision === "auto" ? undefined : options.precision],
    ["--context", options.contextLength],
  ];
  const words = flags.flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, quote(String(value))],
  );
  return ["hydra", "inspect", ...words].join(" ");
}

const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

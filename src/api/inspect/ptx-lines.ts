/** PTX or SASS without its line table, and the source line of each of its lines. */
export interface LinkedText {
  readonly text: string;
  /** For each line of `text`, from the first: its line in the source, from 1; 0 for none. */
  readonly lines: readonly number[];
}

/**
 * Takes the line table out of PTX. A `.loc` gives the line of the code after it, the innermost where
 * functions were inlined; the file is not looked at, as flattened sources have one.
 */
export function linkPtx(ptx: string): LinkedText {
  const text: string[] = [];
  const lines: number[] = [];
  let line = 0;
  let skipping = false;
  let section = false;
  for (const row of ptx.replace(/\n+$/, "").split("\n")) {
    const loc = /^\s*\.loc\s+\d+\s+(\d+)/.exec(row);
    if (loc !== null) {
      line = Number(loc[1]);
      // Compilers put the rest of a long directive on lines of its own.
      skipping = row.trimEnd().endsWith(",");
      continue;
    }
    if (skipping) {
      skipping = row.trimEnd().endsWith(",");
      continue;
    }
    if (/^\s*\.file\s/.test(row)) continue;
    // Names of inlined functions, for debuggers.
    if (/^\s*\.section\s+\.debug/.test(row)) section = true;
    if (section) {
      if (row.trim() === "}") section = false;
      continue;
    }
    if (/\.(?:entry|func)\b/.test(row)) line = 0;
    // Compilers leave an empty line for each `.loc` at the start of a block.
    if (row.trim() === "" && text.at(-1)?.trim() === "") continue;
    text.push(row);
    lines.push(isInstruction(row) ? line : 0);
  }
  while (text.at(-1)?.trim() === "") {
    text.pop();
    lines.pop();
  }
  return { text: `${text.join("\n")}\n`, lines };
}

/** Not a label, a brace, a declaration or a comment. */
function isInstruction(row: string): boolean {
  return (
    /^\s*(?:@!?%\w+\s+)?[a-z{]\w*[\w.:]*(?:\s|;|$)/.test(row) &&
    !/^\s*(?:\/\/|\.|\{\s*$|\})/.test(row)
  );
}

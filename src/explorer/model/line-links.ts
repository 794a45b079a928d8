/** Which lines of machine code come from which line of CUDA, and back. Lines count from 1. */
export interface LineLinks {
  /** Line of CUDA of a line of code; undefined for none. */
  sourceOf(line: number): number | undefined;
  /** Lines of code a line of CUDA became, ascending. */
  codeOf(source: number): readonly number[];
}

const none: readonly number[] = [];

/** @param lines for each line of the code, from the first: its line of CUDA; 0 for none */
export function lineLinks(lines: readonly number[]): LineLinks {
  const bySource = new Map<number, number[]>();
  lines.forEach((source, index) => {
    if (source === 0) return;
    const own = bySource.get(source);
    if (own === undefined) bySource.set(source, [index + 1]);
    else own.push(index + 1);
  });
  return {
    sourceOf: (line) => lines[line - 1] || undefined,
    codeOf: (source) => bySource.get(source) ?? none,
  };
}

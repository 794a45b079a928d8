/** Lines of a text, from 1, both included. */
export interface LineRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Where the generated block of a kernel stands in its translation unit: what follows the includes,
 * line for line. Undefined where it was changed.
 */
export function generatedRange(cuda: string, generated: string): LineRange | undefined {
  const wanted = generated.trimEnd().split("\n");
  const lastInclude = wanted.findLastIndex((line) => line.startsWith("#include"));
  const block = wanted.slice(lastInclude + 1);
  while (block[0]?.trim() === "") block.shift();
  const lines = cuda.split("\n");
  for (let start = lines.length - block.length; start >= 0; start--)
    if (block.every((line, index) => lines[start + index] === line))
      return { first: start + 1, last: start + block.length };
  return undefined;
}

/**
 * A kernel's CUDA as one translation unit: every header comes once, before the first text that
 * includes it, and the kernel's own text comes last. What comes out includes nothing and compiles with
 * NVRTC or nvcc alone. Comment lines say where each part is from.
 *
 * @param headers texts by include name, those that headers include among them.
 */
export function flattenCuda(
  kernel: { readonly entry: string; readonly source: string },
  headers: Readonly<Record<string, string>>,
): string {
  const parts: string[] = [];
  const seen = new Set<string>();
  const visit = (text: string, name: string): void => {
    for (const [, included = ""] of text.matchAll(includeLine)) {
      const header = headers[included];
      if (seen.has(included) || header === undefined) continue;
      seen.add(included);
      visit(header, included);
    }
    const own = ownText(text, headers);
    if (hasCode(own)) parts.push(`${rule(name)}\n${own}`);
  };
  visit(kernel.source, generatedPart);
  return `// ${kernel.entry}, with all it includes. The generated part is the last.\n\n${parts.join("\n\n")}\n`;
}

/** How the part that no header holds is called. */
export const generatedPart = "generated";

const includeLine = /^[ \t]*#[ \t]*include[ \t]+"([^"]+)".*$/gm;

/** Without includes that were resolved, and without `#pragma once`, which a main file may not have. */
function ownText(text: string, headers: Readonly<Record<string, string>>): string {
  return text
    .replace(includeLine, (line, name: string) => (headers[name] === undefined ? line : ""))
    .replace(/^[ \t]*#[ \t]*pragma[ \t]+once\b.*$/gm, "")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

/** Headers that only include others leave nothing but their comment. */
const hasCode = (text: string): boolean =>
  text.split("\n").some((line) => line.trim() !== "" && !line.startsWith("//"));

const rule = (name: string): string =>
  `// ---- ${name} ${"-".repeat(Math.max(4, 88 - name.length))}`;

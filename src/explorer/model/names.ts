import type { ProgramOutline } from "../../inspection/stored-page.ts";

/**
 * What a kernel computes, in words: the label of its first launch, with the numbers of layers and
 * heads left open where it runs for several.
 */
export function purposeOf({ launches }: ProgramOutline, kernel: number): string {
  const labels = [...new Set(launches.filter((own) => own.kernel === kernel).map(anyLayer))];
  const [first = ""] = labels;
  return labels.length <= 2 ? labels.join("; ") : `${first}; and ${labels.length - 1} more`;
}

const anyLayer = ({ label }: { readonly label: string }): string =>
  label.replace(/\b(layers|draft)\.\d+\./g, "$1.*.");

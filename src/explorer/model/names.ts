import type { ProgramOutline } from "../../inspection/stored-page.ts";

/**
 * What a kernel computes, in words: the labels of its launches, with the numbers of layers and heads
 * left open.
 */
export function purposeOf({ launches }: ProgramOutline, kernel: number): string {
  const labels = [...new Set(launches.filter((own) => own.kernel === kernel).map(anyLayer))];
  const [first = ""] = labels;
  return labels.length <= 2 ? labels.join("; ") : `${first}; and ${labels.length - 1} more`;
}

const anyLayer = ({ label }: { readonly label: string }): string =>
  label.replace(/\b(layers|draft)\.\d+\./g, "$1.*.");

const place = /\b(layers\.\d+|draft\.\d+|draft|verify|accept|commit|prefix)\./g;

/** A label without the layer or head it is in: `q_proj + rope`. */
export const shortLabel = (label: string): string => label.replace(place, "");

/** Layer or head of a label: `layers.3`; undefined for none. */
export const placeOf = (label: string): string | undefined =>
  /\b((layers|draft)\.\d+)\./.exec(label)?.[1];

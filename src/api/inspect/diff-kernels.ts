import type { SavedInspection } from "./save-inspection.ts";

/** A program to compare, with the texts of its kernels as far as they are at hand. */
export interface DiffSide {
  readonly inspection: SavedInspection;
  /** One translation unit per kernel, by entry. */
  readonly cuda: ReadonlyMap<string, string>;
}

export type DiffKernel = SavedInspection["kernels"][number];

/** What a kernel computes: the labels of the groups of its launches, each once. */
export function labelsOf(
  { kernels, launches, groups }: SavedInspection,
  kernel: DiffKernel,
): string[] {
  const number = kernels.indexOf(kernel);
  const own = launches.filter((launch) => launch.kernel === number);
  const labels = own.map(
    ({ group, label }) => (group === undefined ? undefined : groups[group]?.label) ?? label,
  );
  return [...new Set(labels)];
}

export interface KernelMatches {
  /** In the order of `after`. */
  readonly pairs: readonly (readonly [before: DiffKernel, after: DiffKernel])[];
  readonly onlyBefore: readonly DiffKernel[];
  readonly onlyAfter: readonly DiffKernel[];
}

/**
 * Which kernels of two programs stand for one another: those of one name first. Names end with a hash
 * of the text, so of the others those of a family that compute the most in common.
 */
export function matchKernels(before: SavedInspection, after: SavedInspection): KernelMatches {
  const matched = new Map<DiffKernel, DiffKernel>();
  const left = new Set(before.kernels);
  const match = (one: DiffKernel, other: DiffKernel): void => {
    matched.set(other, one);
    left.delete(one);
  };
  const byEntry = new Map(before.kernels.map((kernel) => [kernel.entry, kernel]));
  for (const kernel of after.kernels) {
    const same = byEntry.get(kernel.entry);
    if (same !== undefined) match(same, kernel);
  }
  const candidates = after.kernels.flatMap((kernel) =>
    matched.has(kernel)
      ? []
      : [...left].flatMap((other) => {
          const shared =
            other.family === kernel.family ? overlap([before, other], [after, kernel]) : 0;
          return shared > 0 ? [{ kernel, other, shared }] : [];
        }),
  );
  // Best first; the sort is stable, so of equals the one that comes first in the program.
  for (const { kernel, other } of candidates.sort((a, b) => b.shared - a.shared)) {
    if (!matched.has(kernel) && left.has(other)) match(other, kernel);
  }
  return {
    pairs: after.kernels.flatMap((kernel) => {
      const other = matched.get(kernel);
      return other === undefined ? [] : [[other, kernel] as const];
    }),
    onlyBefore: before.kernels.filter((kernel) => left.has(kernel)),
    onlyAfter: after.kernels.filter((kernel) => !matched.has(kernel)),
  };
}

/** Labels in common over all labels, 0 to 1. */
function overlap(
  [a, kernelA]: readonly [SavedInspection, DiffKernel],
  [b, kernelB]: readonly [SavedInspection, DiffKernel],
): number {
  const labels = new Set(labelsOf(a, kernelA));
  const others = labelsOf(b, kernelB);
  const shared = others.filter((label) => labels.has(label)).length;
  return shared / (labels.size + others.length - shared);
}

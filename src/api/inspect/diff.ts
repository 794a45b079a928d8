import { type FigureDiff, kernelFigures, pairFigures, programFigures } from "./diff-figures.ts";
import { type DiffKernel, type DiffSide, labelsOf, matchKernels } from "./diff-kernels.ts";
import { type HeaderChanges, headerChanges, partsOf, patchOf } from "./diff-texts.ts";
import { generatedPart } from "./flatten-cuda.ts";

/** Two compiled programs, kernel by kernel. */
export interface InspectionDiff {
  readonly before: DiffSubject;
  readonly after: DiffSubject;
  /** No kernel, launch or figure differs. */
  readonly identical: boolean;
  readonly pairs: readonly KernelDiff[];
  readonly onlyBefore: readonly LoneKernel[];
  readonly onlyAfter: readonly LoneKernel[];
  /** Headers that differ, each once. */
  readonly headers: readonly HeaderDiff[];
  readonly totals: readonly FigureDiff[];
  /** The order of launches differs, or what a launch of one kernel is of. */
  readonly otherLaunches: boolean;
}

/** One of the two programs: what it is, and how and when it was made. */
export interface DiffSubject {
  readonly title: string;
  readonly command: string;
  readonly version: string;
  readonly made: string;
}

/** A kernel that only one of the programs has. */
export interface LoneKernel {
  readonly entry: string;
  readonly labels: readonly string[];
}

/** A kernel of one program and the one that stands for it in the other. */
export interface KernelDiff {
  readonly before: string;
  readonly after: string;
  /** Of the groups the kernel computes in `after`. */
  readonly labels: readonly string[];
  readonly identical: boolean;
  /** Unified diff of the generated block; empty where it is the same but for the kernel's name. */
  readonly patch: string;
  readonly headers: HeaderChanges;
  /** Whether both texts were at hand. */
  readonly isTextKnown: boolean;
  readonly figures: readonly FigureDiff[];
}

/** A header that kernels of both programs include, and that is not the same. */
export interface HeaderDiff {
  readonly name: string;
  readonly patch: string;
  /** Kernels that include it on both sides. */
  readonly kernels: number;
}

/**
 * Compares two programs. Kernels are matched by name, then by family and what they compute.
 * @param kernel only kernels whose name or family contains this, on either side.
 */
export function diffInspections(
  before: DiffSide,
  after: DiffSide,
  kernel?: string | undefined,
): InspectionDiff {
  const isWanted = (one: DiffKernel): boolean =>
    kernel === undefined || one.entry.includes(kernel) || one.family.includes(kernel);
  const matches = matchKernels(before.inspection, after.inspection);
  const chosen = matches.pairs.filter(([one, other]) => isWanted(one) || isWanted(other));
  const headers = new Map<string, HeaderDiff>();
  const pairs = chosen.map((pair) => diffKernels(before, after, pair, headers));
  const lone = (side: DiffSide, kernels: readonly DiffKernel[]): LoneKernel[] =>
    kernels
      .filter(isWanted)
      .map((one) => ({ entry: one.entry, labels: labelsOf(side.inspection, one) }));
  const onlyBefore = lone(before, matches.onlyBefore);
  const onlyAfter = lone(after, matches.onlyAfter);
  const totals = pairFigures(programFigures(before.inspection), programFigures(after.inspection));
  const otherLaunches = launchesOf(before) !== launchesOf(after);
  const isSameProgram = kernel !== undefined || !(otherLaunches || totals.some(isDifferent));
  return {
    before: subjectOf(before),
    after: subjectOf(after),
    identical:
      isSameProgram &&
      onlyBefore.length + onlyAfter.length === 0 &&
      pairs.every(({ identical }) => identical),
    pairs,
    onlyBefore,
    onlyAfter,
    headers: [...headers.values()],
    totals,
    otherLaunches,
  };
}

function diffKernels(
  before: DiffSide,
  after: DiffSide,
  [one, other]: readonly [DiffKernel, DiffKernel],
  headers: Map<string, HeaderDiff>,
): KernelDiff {
  const [from, to] = [before.cuda.get(one.entry), after.cuda.get(other.entry)];
  const isTextKnown = from !== undefined && to !== undefined;
  // Names of kernels end with a hash, which would be a difference of its own.
  const parts = isTextKnown ? partsOf(from.replaceAll(one.entry, other.entry)) : noParts;
  const otherParts = isTextKnown ? partsOf(to) : noParts;
  const changes = headerChanges(parts, otherParts);
  for (const name of changes.changed) {
    const patch =
      headers.get(name)?.patch ??
      patchOf(parts.get(name) ?? "", otherParts.get(name) ?? "", [name, name]);
    headers.set(name, { name, patch, kernels: (headers.get(name)?.kernels ?? 0) + 1 });
  }
  const patch = patchOf(parts.get(generatedPart) ?? "", otherParts.get(generatedPart) ?? "", [
    one.entry,
    other.entry,
  ]);
  const figures = pairFigures(
    kernelFigures(before.inspection, one),
    kernelFigures(after.inspection, other),
  );
  const isSameText = isTextKnown
    ? patch === "" && Object.values(changes).every((names) => names.length === 0)
    : one.entry === other.entry;
  return {
    before: one.entry,
    after: other.entry,
    labels: labelsOf(after.inspection, other),
    identical: isSameText && !figures.some(isDifferent),
    patch,
    headers: changes,
    isTextKnown,
    figures,
  };
}

const isDifferent = (figure: FigureDiff): boolean => figure.isDifferent;

const noParts: ReadonlyMap<string, string> = new Map();

/** The sequence of kernels and what each is launched for. */
function launchesOf({ inspection: { kernels, launches } }: DiffSide): string {
  return JSON.stringify(launches.map(({ kernel, label }) => [kernels[kernel]?.entry, label]));
}

function subjectOf({ inspection }: DiffSide): DiffSubject {
  const { title, command, version, made } = inspection;
  return { title, command, version, made };
}

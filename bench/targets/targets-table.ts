import { HydrantError } from "../../src/util/errors.ts";
import type { Results } from "../gpu-check/results.ts";
import { Measured } from "./measured.ts";
import { isMet, type Target, targets } from "./targets.ts";

/** One row of the table: a target in all cases it was measured in. */
export interface TargetRow {
  readonly target: Target;
  /** At least one, each measured. */
  readonly values: readonly {
    readonly where: string;
    readonly value: number;
    readonly isMet: boolean;
  }[];
}

/** Targets with something measured; the others have no row. */
export function evaluateTargets(results: Results): readonly TargetRow[] {
  const measured = new Measured(results);
  return targets.flatMap((target): TargetRow[] => {
    const values = target
      .values(measured)
      .flatMap(({ where, value }) =>
        value === undefined ? [] : [{ where, value, isMet: isMet(target.bound, value) }],
      );
    return values.length === 0 ? [] : [{ target, values }];
  });
}

/** The table in Markdown, with what it was measured on above it. */
export function targetsMarkdown(results: Results): string {
  const rows = evaluateTargets(results);
  if (rows.length === 0) return "Nothing has been measured on a GPU yet.\n";
  const { environment, parts } = results;
  const gpu = parts.device?.notes["GPU 0"];
  const lines = rows.map(({ target, values }) => {
    const missed = values.filter((one) => !one.isMet).length;
    const verdict =
      missed === 0
        ? "yes"
        : missed === values.length
          ? "**no**"
          : `**no** (${missed} of ${values.length})`;
    const cells = [target.title, boundText(target), grouped(target, values), verdict];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    `Measured ${environment.date.slice(0, 10)} at commit ${environment.commit}${gpu === undefined ? "" : ` on ${String(gpu)}`}; medians of one run of \`npm run gpu:check\`.`,
    "",
    "| what | target | measured | met |",
    "|---|---|---|---|",
    ...lines,
    "",
    ...rows.map(({ target }) => `- ${target.title}: ${target.definition}.`),
    "",
  ].join("\n");
}

/** Values by model: `vicuna-7b: 0.91 (512 tokens), **0.87** (2048 tokens)`. */
function grouped(target: Target, values: TargetRow["values"]): string {
  const models = new Map<string, string[]>();
  for (const { where, value, isMet: isReached } of values) {
    const [model = "", ...rest] = where.split(", ");
    const text = valueText(target, value);
    const shown = `${isReached ? text : `**${text}**`}${rest.length === 0 ? "" : ` (${rest.join(", ")})`}`;
    models.set(model, [...(models.get(model) ?? []), shown]);
  }
  return [...models]
    .map(([model, texts]) => `${model === "" ? "" : `${model}: `}${texts.join(", ")}`)
    .join("<br>");
}

function boundText({ bound, unit }: Target): string {
  const text = (value: number) => numberText(unit, value);
  const signs = { "at least": "≥", "at most": "≤", "more than": ">" } as const;
  return bound.kind === "holds" ? "identical" : `${signs[bound.kind]} ${text(bound.value)}`;
}

function valueText({ bound, unit }: Target, value: number): string {
  return bound.kind === "holds"
    ? value === 1
      ? "identical"
      : "not identical"
    : numberText(unit, value);
}

function numberText(unit: Target["unit"], value: number): string {
  switch (unit) {
    case "ratio":
      return value.toFixed(2);
    case "share":
      return `${(100 * value).toFixed(1)} %`;
    case "MB":
      return `${value.toFixed(0)} MB`;
    case "check":
      return String(value);
    default:
      return unit satisfies never;
  }
}

const [begin, end] = ["<!-- targets -->", "<!-- /targets -->"];

/**
 * A page with the table between its two markers.
 * @throws HydrantError `bench/targets` when the page lacks a marker.
 */
export function withTargets(page: string, markdown: string, path: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from)
    throw new HydrantError("bench/targets", "The page has no place for the table of targets.", {
      path,
      hint: `Put the lines ${begin} and ${end} where it should be.`,
    });
  return `${page.slice(0, from + begin.length)}\n\n${markdown.trim()}\n\n${page.slice(to)}`;
}

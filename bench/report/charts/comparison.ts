import type { SeriesOption } from "echarts";
import {
  baseOption,
  type Chart,
  gridOf,
  labelWidth,
  legend,
  namesAxis,
  nameBelow,
  tip,
  valueAxis,
} from "../chart.ts";
import { type Change, compareFiles } from "../data-comparison.ts";
import { formatSpread } from "../format.ts";
import { lineAtOne, whiskers } from "../marks.ts";
import type { Palette } from "../palette.ts";
import type { ResultFile } from "../result-file.ts";

/** Rows of a picture: the rest is in the table. */
const mostRows = 40;

const kinds = ["better", "same", "worse"] as const;

/** What others follow from is shown; of each entry the first of these that it has. */
const leading = ["time", "rate", "instructions", "tokens per step"];

/** What became of every entry, by its leading figure: right of 1 is progress. */
export function comparisonChart(old: ResultFile, fresh: ResultFile): Chart[] {
  const all = leadingOnly(compareFiles(old, fresh)).filter(
    ({ progress: { median } }) => Number.isFinite(median) && median > 0 && median !== 1,
  );
  const rows = extremes(all);
  if (rows.length === 0) return [];
  const several = new Set(rows.map(({ name }) => name)).size > 1;
  const names = rows.map(({ id, name }) => (several ? `${id}, ${name}` : id));
  return [
    {
      name: "comparison",
      title: "What changed",
      caption:
        `${fresh.label} against ${old.label}. ` +
        "Right of the line is progress. The whiskers are the worst and the best that the ranges of both files allow; where the ranges meet, or are less than 3% apart, the figure counts as the same." +
        (rows.length < all.length ? ` The ${rows.length} largest of ${all.length} changes.` : ""),
      height: 84 + 23 * rows.length,
      option: (palette) => {
        const values = rows.flatMap(({ progress: { min, max } }) => [min, max, 1]);
        const axis = valueAxis(palette, values, 4);
        // Around 1, where there is nothing to see near 0.
        const range =
          axis.type === "log"
            ? {}
            : {
                min: Math.floor(10 * Math.min(...values) - 0.2) / 10,
                max: Math.ceil(10 * Math.max(...values) + 0.2) / 10,
              };
        const shown = kinds.filter((kind) => rows.some(({ verdict }) => verdict === kind));
        return {
          ...baseOption(palette),
          legend: legend(palette, shown),
          grid: gridOf({ left: labelWidth(names), top: 34 }),
          xAxis: { ...axis, ...range, ...nameBelow("times as good as before") },
          yAxis: namesAxis(palette, names),
          series: [
            lineAtOne(rows.length, palette),
            ...shown.flatMap((kind): SeriesOption[] => {
              const own = rows.flatMap((row, at) => (row.verdict === kind ? [{ row, at }] : []));
              const colour = colourOf(kind, palette);
              return [
                whiskers(
                  own.map(({ row, at }) => ({ at, spread: row.progress })),
                  { along: "x", colour, name: kind },
                ),
                {
                  type: "scatter",
                  name: kind,
                  symbolSize: 9,
                  itemStyle: { color: colour, opacity: 1 },
                  data: own.map(({ row, at }) => ({
                    value: [row.progress.median, at],
                    tooltip: { formatter: () => describe(row) },
                  })),
                  z: 3,
                },
              ];
            }),
          ],
        };
      },
    },
  ];
}

function leadingOnly(changes: readonly Change[]): readonly Change[] {
  const place = ({ name }: Change) => {
    const at = leading.indexOf(name);
    return at < 0 ? leading.length : at;
  };
  const best = new Map<string, number>();
  for (const change of changes)
    best.set(change.id, Math.min(best.get(change.id) ?? leading.length, place(change)));
  return changes.filter(
    (change) =>
      place(change) === best.get(change.id) &&
      !change.name.includes(": ") &&
      change.new.better !== "same",
  );
}

/** The largest losses and the largest gains, in order. */
function extremes(changes: readonly Change[]): readonly Change[] {
  if (changes.length <= mostRows) return changes;
  return [...changes.slice(0, mostRows / 2), ...changes.slice(-mostRows / 2)];
}

function colourOf(kind: (typeof kinds)[number], palette: Palette): string {
  return { better: palette.good, worse: palette.bad, same: palette.muted }[kind];
}

function describe({ id, name, unit, old, new: fresh, progress }: Change): string {
  return tip(
    id,
    `${name}: ${formatSpread(old, unit)} → ${formatSpread(fresh, unit)} ${unit}`,
    `× ${progress.median.toFixed(3)} (${progress.min.toFixed(3)} to ${progress.max.toFixed(3)})`,
  );
}

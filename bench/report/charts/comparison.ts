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
import { whiskers } from "../marks.ts";
import type { Palette } from "../palette.ts";
import type { ResultFile } from "../result-file.ts";

/** Rows of a picture: the rest is in the table. */
const mostRows = 40;

const kinds = ["better", "same", "worse"] as const;

/** What became of every figure: right of 1 is progress. Parts of other figures are left out. */
export function comparisonChart(old: ResultFile, fresh: ResultFile): Chart[] {
  const all = compareFiles(old, fresh).filter(
    ({ name, old: { better }, progress: { median } }) =>
      !name.includes(": ") && better !== "same" && Number.isFinite(median) && median > 0,
  );
  const rows = extremes(all);
  if (rows.length === 0) return [];
  const several = new Set(rows.map(({ name }) => name)).size > 1;
  const names = rows.map(({ id, name }) => (several ? `${id}, ${name}` : id));
  return [
    {
      name: "comparison",
      title: `${fresh.label} against ${old.label}`,
      caption:
        "Right of the line is progress. The whiskers are the worst and the best that the ranges of both files allow; where the ranges meet, or are less than 3% apart, the figure counts as the same." +
        (rows.length < all.length ? ` The ${rows.length} largest of ${all.length} changes.` : ""),
      height: 84 + 23 * rows.length,
      option: (palette) => {
        const axis = valueAxis(
          palette,
          rows.flatMap(({ progress: { min, max } }) => [min, max]),
          4,
        );
        const shown = kinds.filter((kind) => rows.some(({ verdict }) => verdict === kind));
        return {
          ...baseOption(palette),
          legend: legend(palette, shown),
          grid: gridOf({ left: labelWidth(names), top: 34 }),
          xAxis: { ...axis, ...nameBelow("times as good as before") },
          yAxis: namesAxis(palette, names),
          series: [
            {
              type: "line",
              silent: true,
              symbol: "none",
              data: [
                [1, -0.5],
                [1, rows.length - 0.5],
              ],
              lineStyle: { color: palette.axis, width: 1.5 },
            },
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

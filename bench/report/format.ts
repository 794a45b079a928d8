import type { Spread } from "../decode/statistics.ts";
import { scaled, shortNumber } from "../suite/numbers-text.ts";

/** Three digits that mean something, thousands set apart; a dash for no number. */
export function formatNumber(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en-US") : shortNumber(value);
}

/** A round number as it is. */
export function formatTick(value: number): string {
  return value !== 0 && Math.abs(value) < 0.001
    ? value.toExponential()
    : Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 3 });
}

/**
 * `3,888 (3,398 to 4,672)`; the median alone where there is no spread.
 * @param unit for those whose numbers are scaled: counts, bytes, ratios.
 */
export function formatSpread({ median, min, max }: Spread, unit = ""): string {
  const shown = (value: number) =>
    ["count", "bytes", "sectors", "ratio"].includes(unit)
      ? scaled(value, unit)
      : formatNumber(value);
  if (min === max || !Number.isFinite(min)) return shown(median);
  return `${shown(median)} (${shown(min)} to ${shown(max)})`;
}

export function formatPercent(share: number): string {
  if (share === 0) return "0%";
  return Number.isFinite(share) ? `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%` : "–";
}

/** A rate in the unit that suits it: `1.20 T`, `340 G`. */
export function formatRate(perSecond: number): string {
  const units = ["", "K", "M", "G", "T", "P"] as const;
  const power = Math.floor(Math.log10(Math.max(1, perSecond)) / 3);
  const unit = units[power];
  return unit === undefined
    ? perSecond.toExponential(2)
    : `${formatNumber(perSecond / 1000 ** power)} ${unit}`;
}

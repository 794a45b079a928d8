import type { Spread } from "../decode/statistics.ts";

/** Three significant digits, thousands set apart, at most `unit` after it; a dash for no number. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e7)) return value.toExponential(2);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString("en-US", {
    minimumFractionDigits: Number.isInteger(value) ? 0 : digits,
    maximumFractionDigits: digits,
  });
}

/** A round number as it is. */
export function formatTick(value: number): string {
  return value !== 0 && Math.abs(value) < 0.001
    ? value.toExponential()
    : Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 3 });
}

/** `3,888 (3,398 to 4,672)`; the median alone where there is no spread. */
export function formatSpread(spread: Spread): string {
  const { median, min, max } = spread;
  if (min === max || !Number.isFinite(min)) return formatNumber(median);
  return `${formatNumber(median)} (${formatNumber(min)} to ${formatNumber(max)})`;
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

/** A number as a table shows it: three digits that mean something, large ones with separators. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  if (size >= 0.1) return value.toPrecision(3);
  return Number(value.toPrecision(3)).toString();
}

/** Units large enough that the number has few digits. */
export function scaled(value: number, unit: string): string {
  if (unit === "ratio") return `${(100 * value).toFixed(0)} %`;
  if (unit === "tokens/step") return value.toFixed(2);
  if (unit === "bytes" || unit === "count" || unit === "sectors") return scaledCount(value);
  return shortNumber(value);
}

function scaledCount(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} G`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return shortNumber(value);
}

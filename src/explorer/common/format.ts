/** Numbers for people: three significant digits, decimal units, a narrow no-break space before them. */

const gap = "\u202f";

const digits = (value: number): string =>
  value === 0
    ? "0"
    : Math.abs(value) >= 99.95
      ? Math.round(value).toLocaleString("en")
      : value.toPrecision(3).replace(/\.?0+$/, "");

function scaled(value: number, base: number, units: readonly string[]): string {
  let rest = value;
  let unit = 0;
  while (Math.abs(rest) >= base * 0.9995 && unit < units.length - 1) {
    rest /= base;
    unit++;
  }
  return `${digits(rest)}${gap}${units[unit]}`;
}

export const formatBytes = (bytes: number): string =>
  scaled(bytes, 1000, ["B", "kB", "MB", "GB", "TB"]);

/** Powers of two, for what the hardware counts so: shared memory. */
export const formatKibibytes = (bytes: number): string =>
  bytes === 0 ? "0" : `${digits(bytes / 1024)}${gap}KiB`;

export const formatFlops = (flops: number): string =>
  scaled(flops, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"]);

/** @param rate a second */
export const formatRate = (rate: number, unit: "B/s" | "FLOP/s"): string =>
  scaled(
    rate,
    1000,
    ["", "k", "M", "G", "T", "P"].map((prefix) => `${prefix}${unit}`),
  );

export const formatMicroseconds = (microseconds: number): string =>
  microseconds >= 999.5
    ? `${digits(microseconds / 1000)}${gap}ms`
    : `${digits(microseconds)}${gap}µs`;

export const formatCount = (count: number): string => count.toLocaleString("en");

/** @param fraction 0 to 1 */
export const formatPercent = (fraction: number): string =>
  fraction > 0 && fraction < 0.001
    ? `<0.1${gap}%`
    : `${(100 * fraction).toFixed(fraction < 0.0995 ? 1 : 0)}${gap}%`;

export const formatIntensity = (flops: number, bytes: number): string =>
  bytes === 0 ? "–" : `${digits(flops / bytes)}${gap}FLOP/B`;

export const formatGrid = (grid: readonly number[]): string => grid.join(" × ");

/** Milliseconds for people: three significant digits, in the unit that fits. */
export function formatMs(ms: number): string {
  if (ms >= 999.5) return `${digits(ms / 1000)}\u202fs`;
  if (ms >= 0.9995 || ms === 0) return `${digits(ms)}\u202fms`;
  return `${digits(1000 * ms)}\u202fµs`;
}

const digits = (value: number): string =>
  value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);

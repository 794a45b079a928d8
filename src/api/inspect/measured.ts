import { readFile } from "node:fs/promises";
import { HydrantError } from "../../util/errors.ts";

/** Times of a results file, and what it says of itself. */
export interface MeasuredTimes {
  /** File, device and date. */
  readonly source: string;
  /** Microseconds of one launch, by kernel entry. */
  readonly times: ReadonlyMap<string, number>;
}

/**
 * Reads measured times of kernels: `profile` of the file itself, or of its parts, as
 * `{"profile": {"attention_…": 12.3}}` in microseconds. `npm run gpu:check` writes such files.
 * @throws HydrantError `inspect/measured` for a file that cannot be read or holds no times.
 */
export async function readMeasured(file: string): Promise<MeasuredTimes> {
  let root: unknown;
  try {
    root = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw unreadable(file, error instanceof Error ? error.message : String(error));
  }
  const times = new Map<string, number>();
  const parts = field(root, "parts");
  for (const part of [root, ...(isRecord(parts) ? Object.values(parts) : [])]) {
    const profile = field(part, "profile");
    if (!isRecord(profile)) continue;
    for (const [entry, value] of Object.entries(profile)) {
      if (typeof value === "number" && value > 0) times.set(entry, value);
    }
  }
  if (times.size === 0) throw unreadable(file, "It holds no times of kernels.");
  const device = field(root, "device") ?? field(field(root, "environment"), "gpu");
  const date = field(field(root, "environment"), "date") ?? field(root, "date");
  const known = [device, date].filter((value) => typeof value === "string");
  return { source: [file, ...known].join(", "), times };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function field(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}

function unreadable(file: string, reason: string): HydrantError {
  return new HydrantError("inspect/measured", `There are no measured times: ${reason}`, {
    path: file,
    hint: 'Give a file that `npm run gpu:check` wrote, or JSON such as {"profile": {"<kernel>": <microseconds>}}.',
  });
}

import type { SuiteDevice } from "./devices.ts";
import type { Check } from "./results.ts";

/** On the emulator, what the sanitiser saw fails an entry whatever its results. */
export function withFindings(device: SuiteDevice, check: Check): Check {
  const [first, ...more] = device.kind === "emulator" ? device.counting.newFindings() : [];
  if (first === undefined) return check;
  const message = more.length === 0 ? first : `${first} (and ${more.length} more)`;
  return { status: "failed", against: "the sanitiser", error: 1, tolerance: 0, message };
}

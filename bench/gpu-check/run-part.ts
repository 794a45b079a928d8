import { HydrantError } from "../../src/util/errors.ts";
import { PartContext } from "./part.ts";
import { parts } from "./parts.ts";

/*
 * The process of one part: run-part NAME DEVICE RESULT-FILE [small]. Exit code 1 when a check failed,
 * 2 when the part could not go on.
 */

const [name = "", device = "", file = "", size] = process.argv.slice(2);
const part = parts.find((one) => one.name === name);
if (part === undefined) throw new Error(`there is no part "${name}"`);
const context = new PartContext(device, file, size === "small" || undefined);
let code = 2;
try {
  const { run } = await part.load();
  await run(context);
  code = context.failures === 0 ? 0 : 1;
} catch (error) {
  // In full, an error of the compiler is pages of source.
  console.error(error instanceof HydrantError ? error.oneLine : "");
  console.error(error instanceof Error ? error.stack?.slice(0, 1500) : error);
}
// A part that failed may leave threads behind that would keep the process alive.
process.exit(code);

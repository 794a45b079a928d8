import { PartContext } from "./part.ts";
import { parts } from "./parts.ts";

/* The process of one part: run-part NAME DEVICE RESULT-FILE [small]. Exit code 1 when a check failed. */

const [name = "", device = "", file = "", size] = process.argv.slice(2);
const part = parts.find((one) => one.name === name);
if (part === undefined) throw new Error(`there is no part "${name}"`);
const context = new PartContext(device, file, size === "small" || undefined);
const { run } = await part.load();
await run(context);
process.exitCode = context.failures === 0 ? 0 : 1;

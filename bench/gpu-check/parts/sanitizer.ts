import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { partCommand, runCommand } from "../child.ts";
import type { PartContext } from "../part.ts";

const tools = [
  { tool: "memcheck", part: "ops", limit: 50 },
  { tool: "memcheck", part: "demo", limit: 40 },
  { tool: "racecheck", part: "ops", limit: 50 },
] as const;

/** Exit code of the tool when it found something. */
const foundSomething = 9;

/** NVIDIA's own look at our kernels, over the small form of other parts. */
export async function run(part: PartContext): Promise<void> {
  const program = findTool();
  if (program === undefined) {
    part.skip("compute-sanitizer", "it is neither on PATH nor in /usr/local/cuda");
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "gpu-check-"));
  for (const { tool, part: checked, limit } of tools) {
    const options = ["--tool", tool, "--error-exitcode", String(foundSomething)];
    const command = partCommand(checked, part.device, join(folder, "result.json"), "small");
    const { code, timedOut, output } = await runCommand([program, ...options, ...command], limit);
    if (timedOut) part.skip(`${tool} of ${checked}`, `not done after ${limit} s`);
    else if (/not supported|Unable to find injection/i.test(output))
      part.skip(`${tool} of ${checked}`, output.slice(-200));
    else await part.check(`${tool} of ${checked}`, () => assert.equal(code, 0, output.slice(-500)));
  }
  rmSync(folder, { recursive: true });
}

function findTool(): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/local/cuda/bin"];
  return folders
    .map((folder) => join(folder, "compute-sanitizer"))
    .find((file) => existsSync(file));
}

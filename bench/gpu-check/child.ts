import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout or the unpacked bundle. */
export const root = fileURLToPath(new URL("../../", import.meta.url)).replace(/dist[\\/]$/, "");

export interface Ended {
  readonly code: number | null;
  readonly timedOut: boolean;
  /** The end of both streams. */
  readonly output: string;
}

/** The command line of a part's process: sources need the loader, the built form is plain JavaScript. */
export function partCommand(...args: readonly string[]): readonly string[] {
  const entry = import.meta.url.endsWith(".ts")
    ? [join(root, "scripts", "run.mjs"), "bench/gpu-check/run-part.ts"]
    : [fileURLToPath(new URL("./run-part.js", import.meta.url))];
  return [process.execPath, ...entry, ...args];
}

/**
 * Runs a command to its end, or ends it and all its children after `limit` seconds.
 * @param variables of its environment, beside this process's.
 */
export function runCommand(
  command: readonly string[],
  limit: number,
  variables: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const [file = "", ...args] = command;
  return new Promise((done, fail) => {
    // A process group of its own, so that its children end with it.
    const child = spawn(file, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, ...variables },
    });
    let output = "";
    const keep = (data: Buffer) => {
      output = (output + data.toString()).slice(-2000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, 1000 * limit);
    child.on("error", (error) => {
      clearTimeout(timer);
      fail(error);
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      done({ code, timedOut, output: output.trim() });
    });
  });
}

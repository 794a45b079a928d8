import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly input?: string;
  readonly env?: Record<string, string>;
  /** Stops listening to stdout after this much, as `| head` does. */
  readonly readBytes?: number;
}

/** Runs `hydra` as a user would, in a process of its own. */
export function hydra(args: readonly string[], options?: CliOptions): Promise<CliResult> {
  return run("src/cli/main.ts", args, options);
}

/** The same with `npm run bench --`. */
export function bench(args: readonly string[], options?: CliOptions): Promise<CliResult> {
  return run("bench/main.ts", args, options);
}

function run(
  main: string,
  args: readonly string[],
  { input = "", env = {}, readBytes = Number.POSITIVE_INFINITY }: CliOptions = {},
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["scripts/run.mjs", main, ...args], {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", ...env },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data) => {
      stdout += data;
      if (stdout.length >= readBytes) child.stdout.destroy();
    });
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(input);
  });
}

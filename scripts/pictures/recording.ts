import { spawn } from "node:child_process";

/** What a program wrote to its terminal, and when. */
export interface Recording {
  /** The command line, as it is typed at the prompt. */
  readonly command: string;
  readonly events: readonly Output[];
}

export interface Output {
  /** Seconds from the start. */
  readonly at: number;
  readonly text: string;
}

/**
 * Runs a command with colours forced and keeps what it prints on stdout.
 * @throws Error with the end of stderr when it fails.
 */
export function record(command: string, cwd: string): Promise<Recording> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const events: Output[] = [];
    const decoder = new TextDecoder();
    let errors = "";
    const child = spawn(command, {
      cwd,
      shell: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, FORCE_COLOR: "1", COLUMNS: "100" },
    });
    child.stdout.on("data", (bytes: Buffer) => {
      const at = (performance.now() - begin) / 1000;
      events.push({ at, text: decoder.decode(bytes, { stream: true }) });
    });
    child.stderr.on("data", (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-2000);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve({ command, events });
      else reject(new Error(`${command} ended with ${code}:\n${errors}`));
    });
  });
}

/** The same output with no pause longer than `seconds`: loading is nothing to watch. */
export function withoutPauses(recording: Recording, seconds: number): Recording {
  let before = 0;
  let now = 0;
  const events = recording.events.map(({ at, text }) => {
    now += Math.min(at - before, seconds);
    before = at;
    return { at: now, text };
  });
  return { ...recording, events };
}

import { execFileSync } from "node:child_process";
import { cpus, loadavg, platform, release, totalmem } from "node:os";

export interface Environment {
  readonly date: string;
  /** Commit of the checkout, `+` after it when tracked files are changed. */
  readonly commit: string;
  readonly node: string;
  readonly system: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  /** Runnable processes over the last minute before the benchmark began: 0 is an idle machine. */
  readonly loadBefore: number;
}

export function readEnvironment(root: string): Environment {
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 19),
    commit: commit(root),
    node: process.version,
    system: `${platform()} ${release().split("-")[0]}`,
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGB: Math.round(totalmem() / 1e9),
    loadBefore: loadavg()[0] ?? 0,
  };
}

function commit(root: string): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    const changed = git("status", "--porcelain", "--untracked-files=no") !== "";
    return git("rev-parse", "--short=12", "HEAD").trim() + (changed ? "+" : "");
  } catch {
    return "unknown";
  }
}

import type { Finding, FindingKind } from "../../driver/instrumented-driver.ts";

/** More of one kind at one place say nothing new, and a broken kernel makes millions. */
const MAX_FINDINGS = 1000;

/** Faults in the order they were noticed, each place and kind once per launch. */
export class Findings {
  readonly #list: Finding[] = [];
  readonly #seen = new Set<string>();

  add(finding: Finding): void {
    const key = `${finding.kind} ${finding.kernel} ${finding.ptxLine}`;
    if (finding.ptxLine !== null && this.#seen.has(key)) return;
    this.#seen.add(key);
    if (this.#list.length < MAX_FINDINGS) this.#list.push(finding);
  }

  /** Places seen before count again. */
  nextLaunch(): void {
    this.#seen.clear();
  }

  list(): readonly Finding[] {
    return [...this.#list];
  }
}

/** A fault of the host side: no kernel, no line, no thread. */
export function hostFinding(
  kind: FindingKind,
  message: string,
  kernel: string | null = null,
): Finding {
  return {
    kind,
    message,
    kernel,
    file: null,
    line: null,
    ptxLine: null,
    block: null,
    thread: null,
  };
}

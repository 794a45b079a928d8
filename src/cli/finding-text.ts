import type { KernelRunResult } from "../index.ts";

/** A fault of a kernel as a compiler would print it: place, kind and message, and who did it. */
export function findingText(finding: KernelRunResult["findings"][number]): string {
  const { kind, kernel, file, line, ptxLine, block, thread, message } = finding;
  const place = file === null ? "" : `${file}${line === null ? "" : `:${line}`}: `;
  const who = [
    kernel === null ? undefined : `kernel ${kernel}`,
    block === null ? undefined : `block ${block.join(",")}`,
    thread === null ? undefined : `thread ${thread.join(",")}`,
    ptxLine === null ? undefined : `PTX line ${ptxLine}`,
  ].filter((part) => part !== undefined);
  return `${place}${kind}: ${message}\n    ${who.join(", ")}`;
}

import type { Command } from "commander";
import { type DoctorReport, diagnose } from "../../index.ts";

export function registerDoctor(program: Command): void {
  program
    .command("doctor")
    .description("what of CUDA this machine has, what is missing, and how to get it")
    .option("--json", "print the report as one JSON object")
    .action(async (flags: { readonly json?: boolean }) => {
      const report = await diagnose();
      process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : describe(report));
      // Missing parts are a choice (the CPU needs none of them); broken ones are not.
      if (report.checks.some(({ status }) => status === "broken")) process.exitCode = 1;
    });
}

function describe({ checks, devices, nvrtc }: DoctorReport): string {
  const lines: string[] = [];
  const width = Math.max(...checks.map(({ name }) => name.length));
  for (const { name, status, detail, fix } of checks) {
    lines.push(`${status.padEnd(7)}  ${name.padEnd(width)}  ${detail}`);
    if (fix !== undefined) lines.push(`${"".padEnd(11 + width)}-> ${fix}`);
  }
  for (const { name, computeCapability, totalBytes, freeBytes, multiprocessors } of devices) {
    lines.push(
      `GPU      ${name}, compute capability ${computeCapability}, ${multiprocessors} multiprocessors, ${gib(freeBytes)} of ${gib(totalBytes)} free`,
    );
  }
  for (const { version, path, origin, archs } of nvrtc) {
    lines.push(
      `NVRTC    ${version.padEnd(5)} ${path} (${origin}), sm_${archs[0] ?? "?"} to sm_${archs.at(-1) ?? "?"}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

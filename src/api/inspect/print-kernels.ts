import { nvccOptions } from "../../../runtime/nvrtc/compile-error.ts";
import type {
  CompiledKernel,
  Inspection,
  InspectedKernel,
  InspectedLaunch,
} from "../../inspection/inspection.ts";
import type { Program } from "../../ir/program.ts";
import { formatBytes, formatGrid, formatScaled } from "../../ir/program-print.ts";
import { compileOptions } from "./compile-kernels.ts";
import { chooseKernels, flatten } from "./inspect-program.ts";

/** Every kernel with how it is launched, what it takes, what its launches move and how long that takes. */
export function printKernels(inspection: Inspection, name: string | undefined): string {
  const { kernels, gpu, nvrtc, notCompiled } = inspection;
  const compiler = notCompiled === undefined ? `NVRTC ${nvrtc}` : `not compiled: ${notCompiled}`;
  const blocks = chooseKernels(kernels, name).map((kernel) => printKernel(inspection, kernel));
  return [
    `${inspection.title}: ${kernels.length} kernels, ${inspection.launches.length} launches`,
    `${gpu.arch} as in ${gpu.name}, ${gpu.multiprocessors} multiprocessors; ${compiler}`,
    ...blocks.flatMap((lines) => ["", ...lines]),
    "",
  ].join("\n");
}

function printKernel({ kernels, launches, gpu }: Inspection, kernel: InspectedKernel): string[] {
  const own = launches.filter((launch) => launch.kernel === kernels.indexOf(kernel));
  const { entry, family, threads, dynamicSharedBytes, compiled } = kernel;
  const sum = (of: (launch: InspectedLaunch) => number) =>
    own.reduce((total, launch) => total + of(launch), 0);
  const grids = [...new Set(own.map(formatGrid))].join(" and ");
  const other = sum(({ readBytes, writtenBytes }) => readBytes + writtenBytes);
  const operations = formatScaled(
    sum(({ flops }) => flops),
    ["", " k", " M", " G", " T"],
  );
  const modelled = sum((launch) => launch.modelled);
  const bound = own.every((launch) => launch.modelled === gpu.launchGap) ? " (launches)" : "";
  const measured = own.some((launch) => launch.measured !== undefined)
    ? `, measured ${formatTime(sum((launch) => launch.measured ?? 0))}`
    : "";
  return [
    entry,
    `  ${family}, ${count(own.length, "launch", "launches")} of grid ${grids}, ${threads} threads, ${formatBytes(dynamicSharedBytes)} shared`,
    ...(compiled === undefined
      ? []
      : [`  ${printResources(compiled, gpu.threadsPerMultiprocessor / 32)}`]),
    `  weights ${formatBytes(sum(({ weightBytes }) => weightBytes))}, other ${formatBytes(other)}, ${operations} operations`,
    `  at least ${formatTime(modelled)} in all${bound}${measured}`,
  ];
}

function printResources(compiled: CompiledKernel, mostWarps: number): string {
  const { registers, spillBytes, stackBytes, staticSharedBytes, barriers, occupancy } = compiled;
  const blocks = count(occupancy.blocksPerMultiprocessor, "block", "blocks");
  return [
    `${registers} registers`,
    `${spillBytes} B spilled`,
    ...(stackBytes === 0 ? [] : [`${stackBytes} B of stack`]),
    ...(staticSharedBytes === 0 ? [] : [`${staticSharedBytes} B static shared`]),
    ...(barriers === 0 ? [] : [count(barriers, "barrier", "barriers")]),
    `${blocks} a multiprocessor (${occupancy.fraction * mostWarps} of ${mostWarps} warps, limited by ${occupancy.limitedBy})`,
  ].join(", ");
}

const count = (number: number, one: string, many: string): string =>
  `${number} ${number === 1 ? one : many}`;

const formatTime = (microseconds: number): string =>
  formatScaled(Number(microseconds.toFixed(1)), [" µs", " ms", " s"]);

export interface PrintCudaOptions {
  readonly kernel?: string | undefined;
  readonly generated?: boolean | undefined;
}

/**
 * The CUDA of kernels. Each is a file of its own, which begins with the line `// ==== NAME.cu` and
 * says how it is compiled.
 */
export function printCuda(program: Program, arch: string, options: PrintCudaOptions): string {
  const flags = compileOptions(arch);
  return chooseKernels(program.kernels, options.kernel)
    .map((kernel) => {
      if (options.generated === true) return kernel.source;
      const { entry } = kernel;
      return [
        fileRule(`${entry}.cu`),
        `// NVRTC: ${flags.join(" ")}`,
        `// nvcc ${nvccOptions(flags).join(" ")} ${entry}.cu`,
        "",
        flatten(kernel).cuda,
      ].join("\n");
    })
    .join("\n");
}

const fileRule = (name: string): string =>
  `// ==== ${name} ${"=".repeat(Math.max(4, 88 - name.length))}`;

/** PTX or machine code of the kernels that were compiled, each under its name. */
export function printCode(
  { kernels, nvrtc }: Inspection,
  text: (compiled: CompiledKernel) => string | undefined,
): string {
  return kernels
    .flatMap(({ entry, compiled }) => {
      const code = compiled === undefined ? undefined : text(compiled);
      return code === undefined
        ? []
        : [`${fileRule(entry)}\n// compiled by NVRTC ${nvrtc}\n${code}`];
    })
    .join("\n");
}

import type { BufferId, KernelArgument, Launch, Program, Storage } from "./program.ts";

export interface PrintProgramOptions {
  /** Prints a run of launches that repeats, such as the layers of a model, once; default false. */
  readonly fold?: boolean | undefined;
}

/**
 * The launch plan, for people. A launch is a line with its number, kernel, grid × threads, dynamic
 * shared memory, the bytes it moves and the graph nodes it computes, and a line with its arguments;
 * totals come last. Bytes are those of `Traffic`: an operand counts once. Units are decimal.
 *
 * ```
 * program step (capacity = 1024)
 *   0  rms_norm_256_bf16_to_bf16_947a15  3 × 64  weights 512 B, other 4.61 kB  # layers.0.norm
 *        read x %2 scratch@0 f32[768], read weight %0 parameter "norm" bf16[256], …
 *   1-10  5 times, all together weights 8.82 MB, other 92.2 kB:
 *     1  linear_…
 * ```
 */
export function printProgram(program: Program, options: PrintProgramOptions = {}): string {
  const { launches } = program;
  const dims = Object.entries(program.dims).map(([name, value]) => `${name} = ${value}`);
  const lines = [`program ${program.name}${dims.length === 0 ? "" : ` (${dims.join(", ")})`}`];
  const kernels = new Map(program.kernels.map((kernel) => [kernel.entry, kernel]));

  const print = (index: number, indent: string): void => {
    const launch = launches[index];
    if (launch === undefined) return;
    const kernel = kernels.get(launch.kernel);
    const shared =
      kernel === undefined || kernel.sharedBytes === 0
        ? ""
        : `, ${formatBytes(kernel.sharedBytes)} shared`;
    lines.push(
      `${indent}${index}  ${launch.kernel}  ${formatGrid(launch)} × ${kernel?.threads ?? "?"}${shared}  ${formatMoved([launch])}  # ${launch.label}`,
      `${indent}     ${launch.args.map((arg) => formatArgument(program, arg)).join(", ")}`,
    );
  };

  for (let i = 0; i < launches.length; ) {
    const { period, times } = options.fold === true ? repetition(launches, i) : once;
    const end = i + period * times;
    if (times > 1) {
      const moved = formatMoved(launches.slice(i, end));
      lines.push(`  ${i}-${end - 1}  ${times} times, all together ${moved}:`);
    }
    for (let k = 0; k < period; k++) print(i + k, times > 1 ? "    " : "  ");
    i = end;
  }
  lines.push(...totals(program).map((line) => `  ${line}`));
  return `${lines.join("\n")}\n`;
}

function totals(program: Program): string[] {
  const sum = trafficOf(program.launches);
  return [
    `kernels    ${program.kernels.length}`,
    `launches   ${program.launches.length}`,
    `weights    ${formatBytes(sum.weightBytes)}`,
    `other      ${formatBytes(sum.otherBytes)}`,
    `operations ${formatScaled(sum.flops, ["", " k", " M", " G", " T", " P"])}`,
    `arena      ${formatBytes(program.arenaBytes)}`,
    `ring slot  ${formatBytes(program.ring.slotBytes)}`,
  ];
}

const once = { period: 1, times: 1 };

/**
 * How the launches from `start` on repeat: the period that covers most of them, the shortest where
 * several do. Launches are equal when kernel and grid are; buffers differ from layer to layer.
 */
export function repetition(
  launches: readonly Launch[],
  start: number,
): { readonly period: number; readonly times: number } {
  let best = once;
  for (let period = 1; start + 2 * period <= launches.length; period++) {
    let equal = 0;
    while (sameWork(launches[start + equal], launches[start + equal + period])) equal++;
    const times = Math.floor(equal / period) + 1;
    if (times > 1 && times * period > best.times * best.period) best = { period, times };
  }
  return best;
}

function sameWork(a: Launch | undefined, b: Launch | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.kernel === b.kernel &&
    a.grid.every((extent, axis) => extent === b.grid[axis])
  );
}

function formatArgument(program: Program, arg: KernelArgument): string {
  switch (arg.type) {
    case "buffer":
      return `${arg.access} ${arg.name} ${formatBuffer(program, arg.buffer)}`;
    case "table": {
      const [first] = arg.buffers;
      const example = first === undefined ? "" : `, the first ${formatBuffer(program, first)}`;
      return `${arg.access} ${arg.name} (${arg.buffers.length} buffers${example})`;
    }
    case "tensor-map": {
      const { rows, columns, boxRows } = arg.map;
      const boxes = `boxes [${boxRows}, 64] of [${rows}, ${columns}]`;
      return `${arg.access} ${arg.name} ${boxes} in ${formatBuffer(program, arg.buffer)}`;
    }
    case "i32":
    case "f32":
      return `${arg.name} = ${arg.value}`;
    case "ring":
      return "write ring";
    default:
      return arg satisfies never;
  }
}

function formatBuffer(program: Program, id: BufferId): string {
  const buffer = program.buffers[id];
  if (buffer === undefined) return `%${id}`;
  return `%${id} ${formatStorage(buffer.storage)} ${buffer.dtype}[${buffer.elements}]`;
}

function formatStorage(storage: Storage): string {
  switch (storage.kind) {
    case "parameter":
    case "input":
    case "state":
      return `${storage.kind} ${JSON.stringify(storage.name)}`;
    case "scratch":
      return `scratch@${storage.offset}`;
    case "constant":
    case "counter":
      return storage.kind;
    default:
      return storage satisfies never;
  }
}

/** Extents after the last that is not 1 go without saying. */
export function formatGrid({ grid: [x, y, z] }: Pick<Launch, "grid">): string {
  if (z !== 1) return `${x},${y},${z}`;
  return y === 1 ? `${x}` : `${x},${y}`;
}

function formatMoved(launches: readonly Launch[]): string {
  const { weightBytes, otherBytes } = trafficOf(launches);
  return `weights ${formatBytes(weightBytes)}, other ${formatBytes(otherBytes)}`;
}

function trafficOf(launches: readonly Launch[]): {
  readonly weightBytes: number;
  readonly otherBytes: number;
  readonly flops: number;
} {
  let [weightBytes, otherBytes, flops] = [0, 0, 0];
  for (const { traffic } of launches) {
    weightBytes += traffic.weightBytes;
    otherBytes += traffic.readBytes + traffic.writtenBytes;
    flops += traffic.flops;
  }
  return { weightBytes, otherBytes, flops };
}

/** Decimal units: `1.23 MB`. */
export function formatBytes(bytes: number): string {
  return formatScaled(bytes, [" B", " kB", " MB", " GB", " TB"]);
}

/** Three digits and a decimal unit; numbers below a thousand as they are. */
export function formatScaled(value: number, units: readonly string[]): string {
  let scaled = value;
  let unit = 0;
  // 999.5 would be printed as 1000 of its unit.
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  const digits = unit === 0 ? String(scaled) : scaled.toPrecision(3);
  return `${digits}${units[unit] ?? ""}`;
}

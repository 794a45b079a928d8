import type { Command } from "commander";
import { cpus, loadavg } from "node:os";
import { control } from "../../runtime/cpu/kernels/control.ts";
import { linearScratchBytes } from "../../runtime/cpu/kernels/linear.ts";
import {
  type ArgumentsOf,
  type KernelName,
  kernelModule,
  kernels,
  memoryLimits,
} from "../../runtime/cpu/kernels/module.ts";
import { count } from "./numbers.ts";

/** `bench cpu-kernels`: the WebAssembly kernels alone, for who works on one of them. */
export function register(program: Command): void {
  program
    .command("cpu-kernels")
    .description("the CPU kernels alone, on one thread")
    .option("--rounds <n>", "timed runs of each", count, 41)
    .action(({ rounds }: { rounds: number }) => measure(rounds));
}

/**
 * Speed of the CPU kernels on one thread, as multiply-adds (or elements) per second: median, best and
 * the middle half of the runs; shapes are those of the demo model and, for the memory-bound case, of a
 * 7B model's layer.
 */
function measure(runs: number): void {
  const memory = new WebAssembly.Memory(memoryLimits);
  memory.grow(4096);
  const module = new WebAssembly.Module(kernelModule());
  const exports = new WebAssembly.Instance(module, { env: { memory } })
    .exports as unknown as Record<string, (...args: number[]) => void>;
  const scratch = 1 << 16;
  const inputs = 8 << 20;
  const outputs = 24 << 20;
  const weights = 40 << 20;
  if (linearScratchBytes(64, 11_008) > inputs - scratch) throw new Error("scratch is too small");
  if (control.end > scratch) throw new Error("the control words overlap the scratch memory");

  // Numbers of ordinary size in every float type: 0x3c00 to 0x3dff in 16-bit halves.
  const halves = new Uint16Array(memory.buffer, weights, 60 << 20);
  for (let at = 0; at < halves.length; at++) {
    halves[at] = 0x3c00 + ((at * 7919) & 0x1ff) + ((at & 2) << 14);
  }
  new Float32Array(memory.buffer, inputs, 3 << 20).forEach((_, at, all) => {
    all[at] = Math.sin(at);
  });
  const int = (address: number, value: number) => {
    new Int32Array(memory.buffer, address, 1)[0] = value;
    return address;
  };

  function bench<K extends KernelName>(
    name: K,
    what: string,
    args: ArgumentsOf<K>,
    extent: number,
    work: number,
    unit = "GMAC/s",
  ): void {
    const values = args as Readonly<Record<string, number>>;
    const list = Object.entries(kernels[name].params).map(([param, kind]) =>
      kind === "scratch" ? scratch : (values[param] ?? 0),
    );
    // Short kernels are repeated: the clock ticks in microseconds.
    const repeats = Math.max(1, Math.round(2e5 / work));
    const times: number[] = [];
    for (let run = 0; run < runs + 10; run++) {
      const begin = performance.now();
      for (let repeat = 0; repeat < repeats; repeat++) exports[name]?.(...list, 0, extent);
      if (run >= 10) times.push((performance.now() - begin) / repeats);
    }
    times.sort((a, b) => a - b);
    const rate = (part: number) =>
      (work / (times[Math.floor(part * (times.length - 1))] ?? 1) / 1e6).toFixed(1).padStart(6);
    console.log(
      `${name.padEnd(18)} ${what.padEnd(22)} ${rate(0.5)} ${unit.padEnd(7)} best ${rate(0)}  middle half ${rate(0.75)} to ${rate(0.25)}`,
    );
  }

  const [cpu] = cpus();
  console.log(
    `${cpu?.model ?? "?"}, Node ${process.version}, ${runs} runs, load ${loadavg()[0]?.toFixed(1)}`,
  );

  for (const stored of ["bf16", "f16", "f32"] as const) {
    for (const [depth, columns] of [
      [256, 8192],
      [704, 3072],
      [4096, 4096],
    ] as const) {
      for (const rows of [1, 2, 3, 4, 16, 64]) {
        if (depth === 4096 && rows > 4) continue;
        const args = {
          x: inputs,
          w: weights,
          y: outputs,
          bias: 0,
          residual: 0,
          norm: 0,
          eps: 0,
          rows,
          depth,
          outputs: columns,
        };
        const work = rows * depth * columns;
        bench(`linear_${stored}`, `${rows} x ${depth} x ${columns}`, args, columns, work);
      }
    }
  }
  for (const stored of ["f32", "bf16"] as const) {
    for (const length of [64, 512]) {
      const args = {
        q: inputs,
        keys: weights,
        values: weights + (8 << 20),
        length: int(outputs, length),
        mask: 0,
        words: 0,
        y: outputs + 1024,
        rows: 1,
        heads: 4,
        groups: 2,
        width: 64,
        slots: 1024,
        scale: 1 / 64,
      };
      bench(`attention_${stored}`, `${length} slots, 4 heads`, args, 4, 8 * 64 * length);
    }
  }
  const [x, y] = [inputs, outputs];
  bench("rms_norm", "1 x 256", { x, w: weights, y, width: 256, eps: 1e-5 }, 1, 256, "Gel/s");
  bench("silu_mul", "1 x 704", { gate: x, up: x, y, rows: 1, columns: 704 }, 704, 704, "Gel/s");
  bench("argmax", "1 x 32000", { x, ids: y, columns: 32_000 }, 1, 32_000, "Gel/s");
  bench(
    "topk",
    "1 x 32000, k 10",
    { x, values: y, ids: y + 512, k: 10, columns: 32_000 },
    1,
    32_000,
    "Gel/s",
  );
}

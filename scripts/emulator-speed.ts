/**
 * How fast the emulator is on this machine, with and without the sanitiser.
 * Run: npx tsx scripts/emulator-speed.ts
 */
import { readFileSync } from "node:fs";
import { type KernelArg, packArgs } from "../runtime/driver/kernel-args.ts";
import { openEmulatedDriver } from "../runtime/emulator/emulated-driver.ts";
import { fixtureFolder, fixtureVersions } from "../test/conformance/kernels/sources.ts";

const [ROWS, WIDTH] = [1024, 4096];
const ROUNDS = 2000;
const version = fixtureVersions().at(-1) ?? "";
const image = readFileSync(new URL("speed.ptx", fixtureFolder(version)));

/** Milliseconds of each of `repeats` launches, and what one of them executes. */
function measure(
  sanitizer: boolean,
  name: string,
  grid: number,
  block: number,
  sharedBytes: number,
  buffers: readonly ArrayBufferView[],
  ints: readonly number[],
  repeats: number,
): { readonly ms: number[]; readonly laneInstructions: number } {
  const driver = openEmulatedDriver({ sanitizer });
  driver.init();
  driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
  const fn = driver.moduleGetFunction(driver.moduleLoadData(image), name);
  const pointers = buffers.map((data): KernelArg => {
    const ptr = driver.memAlloc(data.byteLength);
    driver.memcpyHtoD(ptr, data);
    return { type: "ptr", value: ptr };
  });
  const args = packArgs([...pointers, ...ints.map((value): KernelArg => ({ type: "i32", value }))]);
  const stream = driver.streamCreate();
  const dim = (x: number) => ({ x, y: 1, z: 1 });
  const ms = Array.from({ length: repeats }, () => {
    const start = performance.now();
    driver.launch({ function: fn, grid: dim(grid), block: dim(block), sharedBytes, args }, stream);
    driver.streamSynchronize(stream);
    return performance.now() - start;
  });
  return { ms, laneInstructions: driver.counters().laneInstructions / repeats };
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const weights = Uint16Array.from(
  { length: ROWS * WIDTH },
  (_, i) => 0x3f00 ^ ((i * 7919) & 0x80ff),
);
const vector = Float32Array.from({ length: WIDTH }, (_, i) => Math.sin(i));
const gemv = (sanitizer: boolean) =>
  measure(
    sanitizer,
    "gemv",
    ROWS / 8,
    256,
    4 * WIDTH,
    [weights, vector, new Float32Array(ROWS)],
    [ROWS, WIDTH],
    sanitizer ? 12 : 40,
  );
const fragments = Uint32Array.from(
  { length: 192 },
  (_, i) => 0x3f803f80 ^ ((i * 40503) & 0x807f807f),
);
const mma = (sanitizer: boolean) =>
  measure(sanitizer, "mma_chain", 4, 32, 0, [fragments, new Float32Array(512)], [ROUNDS], 20);

for (const sanitizer of [false, true]) {
  const label = sanitizer ? "sanitiser on " : "sanitiser off";
  const { ms, laneInstructions } = gemv(sanitizer);
  const rate = (time: number): string => (laneInstructions / time / 1e6).toFixed(2);
  const best = Math.min(...ms);
  console.log(
    `gemv, ${label}: ${rate(median(ms))} G lane-instructions/s (best ${rate(best)}), ${median(ms).toFixed(1)} ms`,
  );
  const chain = mma(sanitizer).ms;
  const count = (time: number): string => ((4 * 4 * ROUNDS) / time / 1e3).toFixed(2);
  console.log(
    `mma m16n8k16, ${label}: ${count(median(chain))} M/s (best ${count(Math.min(...chain))})`,
  );
}

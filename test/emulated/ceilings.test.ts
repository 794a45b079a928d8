import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeviceKernels } from "../../bench/ceilings/device-kernels.ts";
import { configurations, measureMemory, movePieces } from "../../bench/ceilings/memory.ts";
import type { InstrumentedDriver } from "../../runtime/driver/instrumented-driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("measures memory", () => {}));

describe.skipIf(installedNvrtc().length === 0)("the kernels that measure memory", () => {
  let driver: InstrumentedDriver;
  let kernels: DeviceKernels;
  beforeAll(async () => {
    driver = await openDriver("emulator", { memoryBytes: 64 << 20 });
    kernels = new DeviceKernels(driver, 0);
  });
  /** The emulator forgets the context with the first that gives it back. */
  const enter = () => driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
  afterAll(() => {
    enter();
    kernels.close();
    driver.close();
    expect(driver.findings()).toEqual([]);
  });

  /** No multiple of what any configuration moves at once. */
  const bytes = 16 * 2_503;

  it("fill memory with nearly normal numbers, which are copied and read to the last piece", () => {
    const [from, to] = [driver.memAlloc(bytes), driver.memAlloc(bytes)];
    kernels.fill(from, bytes, 5, 2);
    driver.streamSynchronize(kernels.stream);
    const data = new Uint16Array(bytes / 2);
    driver.memcpyDtoH(data, from);
    const values = [...data].map(
      (half) => new Float32Array(Uint32Array.of(half << 16).buffer)[0] ?? 0,
    );
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.sqrt(square)).toBeCloseTo(2, 1);

    const words = new Uint32Array(data.buffer);
    const wanted = words.reduce((sum, word) => (sum ^ word) >>> 0, 0);
    for (const one of configurations(1, bytes)) {
      driver.memsetD8(to, 0, bytes);
      movePieces(kernels, "copy", one, to, from, bytes);
      driver.streamSynchronize(kernels.stream);
      const copy = new Uint16Array(data.length);
      driver.memcpyDtoH(copy, to);
      expect(copy, JSON.stringify(one)).toEqual(data);
      movePieces(kernels, "read", one, to, from, bytes);
      driver.streamSynchronize(kernels.stream);
      const sums = new Uint32Array((one.blocks * one.threads) / 32);
      driver.memcpyDtoH(sums, to);
      expect(
        sums.reduce((sum, word) => (sum ^ word) >>> 0, 0),
        JSON.stringify(one),
      ).toBe(wanted);
    }
    driver.memFree(from);
    driver.memFree(to);
  });

  it("measure copies and reads and give all memory back", () => {
    const before = driver.memoryInfo().free;
    const { copy, read, driverCopy } = measureMemory(driver, 0, { bytes: 1 << 12, rounds: 2 });
    for (const { gigabytesPerSecond } of [copy, read, driverCopy])
      expect(gigabytesPerSecond).toHaveLength(2);
    expect(read.how).toMatch(/a kernel, [48] pieces a thread/);
    enter();
    expect(driver.memoryInfo().free).toBe(before);
  });
});

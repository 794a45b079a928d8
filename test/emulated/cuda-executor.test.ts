import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CudaExecutor, type CudaOptions } from "../../runtime/cuda/executor.ts";
import type { InstrumentedDriver } from "../../runtime/driver/instrumented-driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import type { Session, Tensors } from "../../runtime/executor.ts";
import { InterpreterExecutor } from "../../runtime/interpreter-executor.ts";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import {
  fixtureCompiler,
  fixtureRow,
  fixtureWeights,
  stepGraph,
  storeGraph,
} from "./cuda-executor-fixture.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("runs graphs", () => {}));

const [capacity, memoryBytes] = [40, 64 << 20];

describe.skipIf(installedNvrtc().length === 0)("the CUDA executor on the emulator", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "hydrant-cuda-executor-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const open = async (
    options: Partial<CudaOptions> = {},
  ): Promise<{ driver: InstrumentedDriver; executor: CudaExecutor }> => {
    const driver = await openDriver("emulator", { memoryBytes });
    const executor = await CudaExecutor.create({
      driver,
      compiler: fixtureCompiler,
      headers: cudaHeaders,
      activations: "stored",
      cache: new KernelCache({ directory: folder }),
      ...options,
    });
    return { driver, executor };
  };

  /** Steps and stored rows by turns; what came out and what was left. */
  const play = async (session: Session): Promise<unknown[]> => {
    const [step, store] = [session.compile(stepGraph()), session.compile(storeGraph())];
    const seen: unknown[] = [];
    const note = ({ y, calls, seed }: Tensors) =>
      seen.push(
        (y instanceof Float32Array ? [...y] : []).map((value) => value.toFixed(4)),
        calls,
        seed,
      );
    for (let i = 0; i < 6; i++) {
      note(await step.run({ x: fixtureRow(i), seed: BigUint64Array.of(7n + BigInt(i)) }));
      const rows = 1 + (i % 3);
      await store.run({ x: fixtureRow(100 + i, rows), start: Int32Array.of(4 * i) }, { rows });
    }
    return [...seen, session.readState("cache"), session.readState("calls")];
  };

  it("computes what the reference interpreter computes, and gives everything back", async () => {
    const reference = await new InterpreterExecutor().load(fixtureWeights());
    const expected = await play(reference.session({ capacity }));
    const { driver, executor } = await open();
    const before = driver.memoryInfo().free;
    const weights = await executor.load(fixtureWeights());
    expect(await play(weights.session({ capacity }))).toEqual(expected);
    expect(driver.findings()).toEqual([]);
    await executor.dispose();
    driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
    expect(driver.memoryInfo().free).toBe(before);
    driver.close();
    expect(driver.findings()).toEqual([]);
  });
});

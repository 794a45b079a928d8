import { expect, it } from "vitest";
import { CudaExecutor } from "../../runtime/cuda/executor.ts";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { CudaExecutable } from "../../runtime/cuda/executable.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { fixtureCompiler, fixtureRow, fixtureWeights, stepGraph } from "./cuda-executor-fixture.ts";

const without = installedNvrtc().length === 0;

/** Steps of the fixture at compute capability 9.0; which launches could begin early. */
async function play(overlapLaunches: boolean | undefined, driverVersion = 12030) {
  const inner = await openDriver("emulator", { computeCapability: "9.0", memoryBytes: 64 << 20 });
  const early: boolean[] = [];
  const launch: CudaDriver["launch"] = (kernel, stream) => {
    early.push(kernel.programmatic === true);
    inner.launch(kernel, stream);
  };
  const driver = new Proxy<CudaDriver>(inner, {
    get(target, key) {
      if (key === "launch") return launch;
      if (key === "driverVersion") return () => driverVersion;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const executor = await CudaExecutor.create({
    driver,
    compiler: fixtureCompiler,
    headers: cudaHeaders,
    cache: new KernelCache(),
    activations: "stored",
    overlapLaunches,
  });
  const session = (await executor.load(fixtureWeights())).session({ capacity: 8 });
  const step = session.compile(stepGraph());
  if (!(step instanceof CudaExecutable)) throw new TypeError("a CUDA executable is made");
  early.length = 0;
  const inputs = (i: number) => ({ x: fixtureRow(i), seed: BigUint64Array.of(1n) });
  const { y } = await step.run(inputs(0));
  // By the device's clock, and the step has run.
  const ms = await step.time(inputs(1));
  const { calls } = await step.run(inputs(2));
  await executor.dispose();
  return { y, calls, ms, early, findings: inner.findings() };
}

it.skipIf(without)(
  `launches overlap unless they are told not to, with the same results ${without ? NO_NVRTC : ""}`,
  async () => {
    const usual = await play(undefined);
    const apart = await play(false);
    // A run's first launch has a copy ahead of it.
    expect(usual.early.length).toBeGreaterThan(1);
    expect(usual.early).toEqual(usual.early.map((_, i) => i > 0));
    expect(apart.early).toEqual(apart.early.map(() => false));
    expect(apart.y).toEqual(usual.y);
    const { early } = await play(undefined, 12020);
    expect(early, "graphs of such drivers have no edges for it").toEqual(apart.early);
    expect([...(usual.calls ?? [])]).toEqual([3]);
    expect(usual.ms).toBeGreaterThanOrEqual(0);
    expect([usual.findings, apart.findings]).toEqual([[], []]);
  },
);

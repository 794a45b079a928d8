import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CudaExecutor } from "../../runtime/cuda/executor.ts";
import { cudaError } from "../../runtime/driver/check.ts";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import type { Session } from "../../runtime/executor.ts";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { memoryWeights } from "../helpers/memory-weights.ts";
import { failEachOnce, failingDriver } from "./cuda-executor-failing-driver.ts";
import {
  fixtureCompiler,
  fixtureRow,
  fixtureWeights,
  stepGraph,
  storeGraph,
} from "./cuda-executor-fixture.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("fails well", () => {}));

describe.skipIf(installedNvrtc().length === 0)("the CUDA executor when a driver call fails", () => {
  let cache: KernelCache;
  let expected: unknown;
  beforeAll(async () => {
    cache = new KernelCache({ directory: mkdtempSync(join(tmpdir(), "hydrant-failures-")) });
    const emulator = await openDriver("emulator", { memoryBytes: 4 << 20, sanitizer: false });
    expected = await wholeLife(emulator);
    emulator.close();
  });
  afterAll(() => rmSync(cache.directory, { recursive: true, force: true }));

  const create = (driver: CudaDriver) =>
    CudaExecutor.create({
      driver,
      compiler: fixtureCompiler,
      headers: cudaHeaders,
      activations: "stored",
      cache,
      upload: { lanes: 2, staging: 1600 },
    });

  const play = async (session: Session): Promise<unknown[]> => {
    const [step, store] = [session.compile(stepGraph()), session.compile(storeGraph())];
    const out: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      out.push(await step.run({ x: fixtureRow(i), seed: BigUint64Array.of(BigInt(i)) }));
      await store.run({ x: fixtureRow(9, 2), start: Int32Array.of(i) }, { rows: 2 });
    }
    return [...out, session.readState("cache")];
  };

  /** Free memory with kernels loaded, which stay, and nothing else. */
  const freeWhenWarm = async (executor: CudaExecutor, driver: CudaDriver): Promise<number> => {
    await (await executor.load(fixtureWeights())).dispose();
    return driver.memoryInfo().free;
  };

  /** Everything an executor does, from its making to its end. */
  const wholeLife = async (driver: CudaDriver): Promise<unknown> => {
    const executor = await create(driver);
    try {
      const weights = await executor.load(fixtureWeights());
      return await play(weights.session({ capacity: 8 }));
    } finally {
      await executor.dispose();
    }
  };

  it("gives everything back and works again, whichever call it is", async () => {
    const emulator = await openDriver("emulator", { memoryBytes: 4 << 20, sanitizer: false });
    const failed = await failEachOnce(emulator, 3, async (driver) => {
      expect(await wholeLife(driver)).toEqual(expected);
    });
    expect(failed.size).toBeGreaterThan(25);
    expect(await wholeLife(emulator)).toEqual(expected);
    emulator.close();
  });

  it("says that the device is lost, whichever call it is, and leaves a new one to start on", async () => {
    for (let at = 6; ; at += 9) {
      const emulator = await openDriver("emulator", { memoryBytes: 4 << 20, sanitizer: false });
      const failing = failingDriver(emulator, at, "sticky");
      const executor = await create(failing.driver).catch(() => undefined);
      let error: unknown;
      try {
        const weights = await executor?.load(fixtureWeights());
        const session = weights?.session({ capacity: 8 });
        if (session !== undefined) await play(session);
      } catch (caught) {
        error = caught;
      }
      const isBefore = executor === undefined || failing.failed() !== undefined;
      if (!isBefore) break;
      if (executor !== undefined) {
        const lost = { code: "cuda/device-lost" };
        expect(error, `after call ${at}, ${failing.failed()}`).toMatchObject(lost);
        // It stays so.
        await expect(executor.load(fixtureWeights())).rejects.toMatchObject(lost);
        await executor.dispose();
      }
      emulator.close();
    }
    const fresh = await openDriver("emulator", { memoryBytes: 4 << 20, sanitizer: false });
    expect(await wholeLife(fresh)).toEqual(expected);
    fresh.close();
  });

  it("tells of a kernel's fault, refuses to go on, and ends in good order", async () => {
    const emulator = await openDriver("emulator", { memoryBytes: 8 << 20 });
    const executor = await create(emulator);
    const weights = await executor.load(fixtureWeights());
    const session = weights.session({ capacity: 8 });
    const [step, store] = [session.compile(stepGraph()), session.compile(storeGraph())];
    // Past the cache's end.
    const row = { x: fixtureRow(1), start: Int32Array.of(4000) };
    const lost = { code: "cuda/device-lost", path: "emulator/store" };
    await expect(store.run(row, { rows: 1 })).rejects.toMatchObject(lost);
    expect(emulator.findings()).toMatchObject([{ kind: "out-of-bounds" }]);
    const input = { x: fixtureRow(1), seed: BigUint64Array.of(1n) };
    await expect(step.run(input)).rejects.toMatchObject(lost);
    expect(() => session.readState("cache")).toThrow(expect.objectContaining(lost));
    expect(() => session.compile(stepGraph())).toThrow(expect.objectContaining(lost));
    expect(() => weights.session({ capacity: 8 })).toThrow(expect.objectContaining(lost));
    session.dispose();
    await weights.dispose();
    await executor.dispose();
    emulator.close();
  });

  it("refuses a model that cannot fit before reading any of it", async () => {
    const emulator = await openDriver("emulator", { memoryBytes: 32 << 20 });
    const executor = await create(emulator);
    const shape = [4000, 5000];
    const huge = {
      parameters: new Map([["w", { dtype: "bf16", shape } as const]]),
      read: async () => {
        throw new Error("it was read");
      },
    };
    const { free, total } = emulator.memoryInfo();
    expect(free).toBe(total);
    await expect(executor.load(huge)).rejects.toMatchObject({
      code: "cuda/model-too-large",
      message: expect.stringMatching(
        /^The model needs 38\.\d+ MiB \(weights 38\.21 MiB, loading \d+ KiB\); (\S+) MiB of \1 MiB are free: \S+ MiB too little\.$/,
      ),
    });
    // A model that fits is loaded all the same.
    await executor.load(fixtureWeights());
    await executor.dispose();
    emulator.close();
    expect(emulator.findings()).toEqual([]);
  });

  it("refuses a session that cannot fit before allocating any of it, and goes on", async () => {
    const emulator = await openDriver("emulator", { memoryBytes: 8 << 20 });
    const executor = await create(emulator);
    const weights = await executor.load(fixtureWeights());
    const { free } = emulator.memoryInfo();
    const session = weights.session({ capacity: 1_000_000 });
    expect(() => session.compile(storeGraph())).toThrow(
      expect.objectContaining({
        code: "cuda/session-too-large",
        message: expect.stringContaining("caches and other states 95.37 MiB"),
      }),
    );
    expect(emulator.memoryInfo().free).toBe(free);
    const step = session.compile(stepGraph());
    const input = { x: fixtureRow(1), seed: BigUint64Array.of(1n) };
    expect((await step.run(input)).calls).toEqual(Int32Array.of(1));
    await executor.dispose();
    emulator.close();
    expect(emulator.findings()).toEqual([]);
  });

  it("goes on after memory ran out in the middle of a session", async () => {
    const emulator = await openDriver("emulator", { memoryBytes: 8 << 20 });
    let isFull = false;
    const driver = new Proxy<CudaDriver>(emulator, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (key === "memAlloc" && isFull)
            throw cudaError("CUDA_ERROR_OUT_OF_MEMORY", "cuMemAlloc");
          return Reflect.apply(value, target, args);
        };
      },
    });
    const executor = await create(driver);
    const session = (await executor.load(fixtureWeights())).session({ capacity: 8 });
    const step = session.compile(stepGraph());
    const large = session.compile(stepGraph("large step"));
    const input = { x: fixtureRow(1), seed: BigUint64Array.of(1n) };
    await step.run(input);
    isFull = true;
    await expect(large.run(input)).rejects.toMatchObject({
      code: "cuda/session-too-large",
      message: expect.stringContaining("which the driver could not give"),
    });
    // The scratch memory there was is gone, too.
    await expect(step.run(input)).rejects.toMatchObject({ code: "cuda/session-too-large" });
    isFull = false;
    expect((await step.run(input)).calls).toEqual(Int32Array.of(2));
    expect((await large.run(input)).calls).toEqual(Int32Array.of(3));
    await executor.dispose();
    emulator.close();
    expect(emulator.findings()).toEqual([]);
  });

  it.each([
    ["w", 37 * 50, 1333, Number.NaN],
    ["scale", 37, 36, Number.NEGATIVE_INFINITY],
  ] as const)(
    "names the tensor %s and the element that is not finite",
    async (name, size, at, bad) => {
      const emulator = await openDriver("emulator", { memoryBytes: 8 << 20 });
      const executor = await create(emulator);
      const free = await freeWhenWarm(executor, emulator);
      const kernels = () => executor.memory().kernels;
      const good = { dtype: "bf16", shape: [37, 50], data: new Float32Array(37 * 50) } as const;
      const data = new Float32Array(size);
      data[at] = bad;
      const source = memoryWeights({
        w: good,
        scale: { dtype: "f32", shape: [37], data: new Float32Array(37) },
        [name]: name === "w" ? { ...good, data } : { dtype: "f32", shape: [37], data },
      });
      await expect(executor.load(source)).rejects.toMatchObject({
        code: "executor/not-finite",
        message: `The tensor holds ${bad} at element ${at}.`,
        path: name,
      });
      expect(kernels()).toBeGreaterThan(0);
      expect(emulator.memoryInfo().free).toBe(free);
      await executor.dispose();
      emulator.close();
      expect(emulator.findings()).toEqual([]);
    },
  );

  it("stops loading when it is aborted or disposed of, and keeps nothing", async () => {
    const emulator = await openDriver("emulator", { memoryBytes: 8 << 20 });
    const executor = await create(emulator);
    const free = await freeWhenWarm(executor, emulator);
    const weights = fixtureWeights();
    const controller = new AbortController();
    let reads = 0;
    const source = (onRead: () => void) => ({
      ...weights,
      read: async (...args: Parameters<typeof weights.read>) => {
        reads++;
        onRead();
        await weights.read(...args);
      },
    });
    const aborting = executor.load(
      source(() => controller.abort(new Error("enough"))),
      controller.signal,
    );
    await expect(aborting).rejects.toThrow("enough");
    // Those of the lanes that had begun.
    expect(reads).toBeLessThanOrEqual(2);
    expect(emulator.memoryInfo().free).toBe(free);
    await expect(executor.load(weights, controller.signal)).rejects.toThrow("enough");
    let disposing: Promise<void> | undefined;
    const loading = executor.load(
      source(() => {
        disposing ??= executor.dispose();
      }),
    );
    await expect(loading).rejects.toMatchObject({ code: "executor/disposed" });
    await disposing;
    emulator.close();
    expect(emulator.findings()).toEqual([]);
  });

  it("ends a session in the middle of its runs", async () => {
    const emulator = await openDriver("emulator", { memoryBytes: 8 << 20 });
    const executor = await create(emulator);
    const weights = await executor.load(fixtureWeights());
    const session = weights.session({ capacity: 8 });
    const step = session.compile(stepGraph());
    const input = { x: fixtureRow(1), seed: BigUint64Array.of(1n) };
    const runs = [step.run(input), step.run(input)];
    session.dispose();
    for (const run of runs) await expect(run).rejects.toMatchObject({ code: "executor/disposed" });
    await expect(step.run(input)).rejects.toMatchObject({ code: "executor/disposed" });
    session.dispose();
    step.dispose();
    const [one, two] = [weights.session({ capacity: 8 }), weights.session({ capacity: 8 })];
    const other = one.compile(stepGraph());
    await other.run(input);
    other.dispose();
    await expect(other.run(input)).rejects.toMatchObject({ code: "executor/disposed" });
    expect((await two.compile(stepGraph()).run(input)).calls).toEqual(Int32Array.of(1));
    await weights.dispose();
    expect(() => weights.session({ capacity: 8 })).toThrow(
      expect.objectContaining({ code: "executor/disposed" }),
    );
    await executor.dispose();
    await executor.dispose();
    await expect(executor.load(fixtureWeights())).rejects.toMatchObject({
      code: "executor/disposed",
    });
    emulator.close();
    expect(emulator.findings()).toEqual([]);
  });
});

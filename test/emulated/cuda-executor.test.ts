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
import { GraphBuilder } from "../../src/ir/builder.ts";
import { tensor } from "../../src/ir/shape.ts";
import { syntheticWeights } from "../../src/weights/synthetic.ts";
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

  const expectedOf = async (source = fixtureWeights()): Promise<unknown[]> => {
    const reference = await new InterpreterExecutor().load(source);
    return play(reference.session({ capacity }));
  };

  /** Free memory, with nobody's context current. */
  const freeOf = (driver: InstrumentedDriver): number => {
    driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
    return driver.memoryInfo().free;
  };

  it("computes what the reference interpreter computes, and gives everything back", async () => {
    const { driver, executor } = await open();
    const before = freeOf(driver);
    const weights = await executor.load(fixtureWeights());
    expect(await play(weights.session({ capacity }))).toEqual(await expectedOf());
    expect(driver.findings()).toEqual([]);
    await executor.dispose();
    expect(freeOf(driver)).toBe(before);
    driver.close();
    expect(driver.findings()).toEqual([]);
  });

  it("loads weights in small pieces over several lanes just as well", async () => {
    const { driver, executor } = await open({ upload: { lanes: 3, staging: 16 } });
    const weights = await executor.load(fixtureWeights());
    expect(await play(weights.session({ capacity }))).toEqual(await expectedOf());
    expect(driver.findings()).toEqual([]);
    await executor.dispose();
  });

  it("makes synthetic weights on the device, without reading them", async () => {
    const source = syntheticWeights([stepGraph()]);
    const expected = await expectedOf(source);
    const { driver, executor } = await open({ upload: { lanes: 2, staging: 1600 } });
    const read = async (): Promise<never> => {
      throw new Error("nobody needs to read this");
    };
    const weights = await executor.load({ ...source, read });
    expect(await play(weights.session({ capacity }))).toEqual(expected);
    expect(driver.findings()).toEqual([]);
    await executor.dispose();
  });

  it("says what its memory is used for, and forgets it with the session", async () => {
    const { executor } = await open();
    const weights = await executor.load(fixtureWeights());
    const session = weights.session({ capacity });
    await play(session);
    // 48 × 64 packed elements of 2 bytes, 37 floats.
    expect(weights.byteLength).toBe(48 * 64 * 2 + 37 * 4);
    const use = executor.memory();
    expect(use).toMatchObject({ weights: weights.byteLength, arena: 512, ring: 64 * 192 });
    // Cache, total, calls, ring number: whole vectors of 16 bytes.
    expect(use.states).toBe(capacity * 50 * 2 + 160 + 16 + 16);
    expect(use.kernels).toBeGreaterThan(1000);
    session.dispose();
    expect(executor.memory()).toMatchObject({ states: 0, arena: 0, ring: 0, programs: 0 });
    await executor.dispose();
  });

  it("keeps sessions apart, and their runs in order though nobody waits for them", async () => {
    const { driver, executor } = await open();
    const weights = await executor.load(fixtureWeights());
    const [a, b] = [weights.session({ capacity }), weights.session({ capacity })];
    const [stepA, stepB] = [a.compile(stepGraph()), b.compile(stepGraph())];
    const runs = [stepA, stepA, stepB, stepA].map((step, i) =>
      step.run({ x: fixtureRow(i), seed: BigUint64Array.of(BigInt(i)) }),
    );
    const outputs = await Promise.all(runs);
    expect(outputs.map(({ calls }) => calls?.[0])).toEqual([1, 2, 1, 3]);
    expect(outputs.map(({ seed }) => seed?.[0])).toEqual([0n, 1n, 2n, 3n]);
    expect(driver.findings()).toEqual([]);
    await executor.dispose();
  });

  it("captures again when shared memory has grown, and loses no state", async () => {
    const { driver, executor } = await open();
    const session = (await executor.load(fixtureWeights())).session({ capacity });
    const input = { x: fixtureRow(1), seed: BigUint64Array.of(1n) };
    const small = session.compile(stepGraph());
    const first = await small.run(input);
    const large = session.compile(stepGraph("large step"));
    expect(executor.memory().arena).toBe(512);
    const second = await large.run(input);
    expect(executor.memory().arena).toBe(65_792);
    const third = await small.run(input);
    expect([first, second, third].map(({ calls }) => calls?.[0])).toEqual([1, 2, 3]);
    expect(third.y).toEqual(first.y);
    expect(second.y).toEqual(first.y);
    expect(driver.findings()).toEqual([]);
    await executor.dispose();
  });

  it("compiles nothing a second time: not for another session, nor another executor", async () => {
    const { executor: one } = await open();
    const weights = await one.load(fixtureWeights());
    await play(weights.session({ capacity }));
    const { compiled, fromCache } = one.compiled;
    await play(weights.session({ capacity }));
    expect(one.compiled).toEqual({ compiled, fromCache });
    await one.dispose();
    const { executor: two } = await open();
    await play((await two.load(fixtureWeights())).session({ capacity }));
    expect(two.compiled).toEqual({ compiled: 0, fromCache: compiled + fromCache });
    await two.dispose();
  });

  it("prepares a graph without running it", async () => {
    const { executor } = await open();
    const session = (await executor.load(fixtureWeights())).session({ capacity });
    const [step, store] = [session.compile(stepGraph()), session.compile(storeGraph())];
    await step.prepare?.();
    await store.prepare?.({ rows: 3 });
    const { compiled, fromCache } = executor.compiled;
    await step.run({ x: fixtureRow(1), seed: BigUint64Array.of(1n) });
    await store.run({ x: fixtureRow(1, 3), start: Int32Array.of(0) }, { rows: 3 });
    expect(executor.compiled).toEqual({ compiled, fromCache });
    expect(session.readState("calls")).toEqual(Int32Array.of(1));
    await executor.dispose();
  });

  it("keeps a bounded number of programs for row counts", async () => {
    const { executor } = await open();
    const session = (await executor.load(fixtureWeights())).session({ capacity });
    const store = session.compile(storeGraph());
    for (let rows = 1; rows <= 12; rows++) {
      await store.run({ x: fixtureRow(rows, rows), start: Int32Array.of(0) }, { rows });
    }
    await store.run({ x: fixtureRow(1, 1), start: Int32Array.of(20) }, { rows: 1 });
    const cache = session.readState("cache");
    expect(cache.slice(0, 600)).toEqual(fixtureRow(12, 12));
    expect(cache.slice(1000, 1050)).toEqual(fixtureRow(1));
    expect(cache.slice(1050)).toEqual(new Float32Array(cache.length - 1050));
    await executor.dispose();
  });

  it("reads states widened and writes them rounded to the nearest", async () => {
    const { executor } = await open();
    const session = (await executor.load(fixtureWeights())).session({ capacity: 1 });
    session.compile(storeGraph());
    expect(session.readState("cache")).toEqual(new Float32Array(50));
    session.writeState("cache", new Float32Array(50).fill(1.00390625));
    expect(session.readState("cache")).toEqual(new Float32Array(50).fill(1));
    const wrong = expect.objectContaining({ code: "executor/state" });
    expect(() => session.writeState("cache", new Float32Array(49))).toThrow(wrong);
    expect(() => session.readState("none")).toThrow(wrong);
    expect(() => session.writeState("cache", new Int32Array(50))).toThrow(
      expect.objectContaining({ code: "executor/input" }),
    );
    await executor.dispose();
  });

  it("refuses graphs and inputs that do not fit, and goes on", async () => {
    const { executor } = await open();
    const session = (await executor.load(fixtureWeights())).session({ capacity });
    const b = new GraphBuilder("other");
    b.update("total", b.add(b.state("total", tensor("i32", 3)), b.constant("i32", [1, 2, 3])));
    const other = b.finish();
    const step = session.compile(stepGraph());
    expect(() => session.compile(other)).toThrow(
      expect.objectContaining({
        code: "executor/state",
        message: expect.stringContaining("total"),
      }),
    );
    const c = new GraphBuilder("wide");
    c.output("w", c.cast(c.parameter("w", tensor("bf16", 37, 51)), "f32"));
    expect(() => session.compile(c.finish())).toThrow(
      expect.objectContaining({ code: "executor/parameter", path: "w" }),
    );
    const seed = BigUint64Array.of(1n);
    await expect(step.run({ x: new Float32Array(3), seed })).rejects.toMatchObject({
      code: "executor/input",
      message: 'Input "x" needs 50 elements, got 3.',
    });
    await expect(step.run({ x: new Int32Array(50), seed })).rejects.toMatchObject({
      code: "executor/input",
    });
    expect((await step.run({ x: fixtureRow(1), seed })).calls).toEqual(Int32Array.of(1));
    await executor.dispose();
  });
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CudaExecutor } from "../../runtime/cuda/executor.ts";
import { cudaError } from "../../runtime/driver/check.ts";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { KernelCache } from "../../runtime/nvrtc/cache.ts";
import { programCompiler } from "../../src/api/compile-program.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { ProgramCompiler } from "../../src/ir/program.ts";
import { tensor } from "../../src/ir/shape.ts";
import { HydrantError } from "../../src/util/errors.ts";
import { memoryWeights } from "../helpers/memory-weights.ts";
import { failEachOnce, failingDriver } from "./cuda-executor-failing-driver.ts";
import { onTheEmulator, withoutNvrtc } from "./emulated-executor.ts";

/** A step that commits the token `root` and goes on with the token after; the length grows `by` what it is told. */
function countingGraph(): Graph {
  const b = new GraphBuilder("count");
  const length = b.state("length", tensor("i32", 1));
  const root = b.state("root", tensor("i32", 1));
  const by = b.input("by", tensor("i32", 1));
  const history = b.state("history", tensor("i32", "capacity"));
  b.update("history", b.cacheWrite(history, root, length, "history"));
  b.update("root", b.add(root, b.constant("i32", [1])));
  b.update("length", b.add(length, by));
  b.output("tree", root);
  return b.finish();
}

describe.skipIf(withoutNvrtc)(`a loop on the device ${onTheEmulator}`, { timeout: 60_000 }, () => {
  let cache: KernelCache;
  beforeAll(() => {
    cache = new KernelCache({ directory: mkdtempSync(join(tmpdir(), "hydrant-loops-")) });
  });
  afterAll(() => rmSync(cache.directory, { recursive: true, force: true }));

  const create = (driver: CudaDriver, compiler: ProgramCompiler = programCompiler) =>
    CudaExecutor.create({
      driver,
      compiler,
      headers: cudaHeaders,
      activations: "stored",
      cache,
      loopRuns: 3,
    });

  /** Two loops and a run between, from the making of the executor to its end. */
  const wholeLife = async (driver: CudaDriver, compiler?: ProgramCompiler, by = 1) => {
    const executor = await create(driver, compiler);
    try {
      const weights = await executor.load(memoryWeights({}));
      const step = weights.session({ capacity: 32 }).compile(countingGraph());
      const inputs = { by: Int32Array.of(by) };
      const tokens: unknown[] = [];
      const follow = async (length: number, stopTokens: number[], lastLength = 30) => {
        const loop = await step.loop?.(inputs, { length, lastLength, stopTokens });
        if (loop === undefined) tokens.push("no loop");
        else
          for (let out = await loop.next(); out !== undefined; out = await loop.next())
            tokens.push(out.tree?.[0]);
        tokens.push("|");
      };
      await follow(0, [7]);
      tokens.push((await step.run(inputs)).tree?.[0], "|");
      await follow(4 * by, [9, 5, 8]);
      await follow(6 * by, [], 7);
      return tokens;
    } finally {
      await executor.dispose();
    }
  };
  const expected = [0, 1, 2, "|", 3, "|", 4, 5, "|", 6, 7, "|"];

  it("ends after the runs it may make, with a stop token, or with too little room", async () => {
    const driver = await openDriver("emulator", { memoryBytes: 4 << 20 });
    expect(await wholeLife(driver)).toEqual(expected);
    // A run that commits nothing is the last, and the only one.
    expect(await wholeLife(driver, undefined, 0)).toEqual([0, "|", 1, "|", 2, "|", 3, "|"]);
    driver.close();
    expect(driver.findings()).toEqual([]);
  });

  it("is none where compiler or driver do not take its kernel, and harms nobody", async () => {
    const driver = await openDriver("emulator", { memoryBytes: 4 << 20 });
    const broken = programCompiler.loop?.();
    if (broken === undefined) throw new Error("there is a kernel");
    const none = ["no loop", "|", 0, "|", "no loop", "|", "no loop", "|"];
    const { loop: _, ...withoutLoop } = programCompiler;
    const misspelt = { ...broken, source: broken.source.replace("loop::end_run(", "end_runs(") };
    expect(await wholeLife(driver, { ...programCompiler, loop: () => misspelt })).toEqual(none);
    expect(await wholeLife(driver, withoutLoop)).toEqual(none);
    const refusing: CudaDriver = new Proxy(driver, {
      get(target, key) {
        if (key === "moduleLoadData")
          return (image: Uint8Array) => {
            if (new TextDecoder().decode(image).includes("cudaGraphSetConditional"))
              throw cudaError("CUDA_ERROR_INVALID_PTX", "cuModuleLoadData");
            return target.moduleLoadData(image);
          };
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function"
          ? (...args: unknown[]) => Reflect.apply(value, target, args)
          : value;
      },
    });
    expect(await wholeLife(refusing)).toEqual(none);
    driver.close();
    expect(driver.findings()).toEqual([]);
  });

  it("gives everything back and works again, whichever call fails", async () => {
    const emulator = await openDriver("emulator", { memoryBytes: 4 << 20, sanitizer: false });
    const failed = await failEachOnce(emulator, 1, async (driver) => {
      expect(await wholeLife(driver)).toEqual(expected);
    });
    for (const call of ["graphConditionalCreate", "graphAddConditionalNode", "graphInstantiate"])
      expect(failed).toContain(call);
    expect(failed).toContain("streamBeginCaptureToGraph");
    expect(await wholeLife(emulator)).toEqual(expected);
    emulator.close();
  });

  it("says that the device is lost, whichever call it is", async () => {
    for (let at = 6; ; at += 11) {
      const emulator = await openDriver("emulator", { memoryBytes: 4 << 20, sanitizer: false });
      const failing = failingDriver(emulator, at, "sticky");
      let error: unknown;
      await wholeLife(failing.driver).catch((caught: unknown) => {
        error = caught;
      });
      emulator.close();
      if (failing.failed() === undefined) break;
      // What fails while things are given back concerns nobody; what fails before there is an
      // executor is what it is.
      if (error !== undefined) expect(error).toBeInstanceOf(HydrantError);
    }
  });
});

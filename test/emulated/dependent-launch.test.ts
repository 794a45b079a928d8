import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Stream } from "../../runtime/driver/driver.ts";
import type { Finding, InstrumentedDriver } from "../../runtime/driver/instrumented-driver.ts";
import { packArgs } from "../../runtime/driver/kernel-args.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { openNvrtc } from "../../runtime/nvrtc/nvrtc.ts";
import { preludeHeaders } from "../../runtime/nvrtc/prelude.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";

const missing = installedNvrtc().length === 0;

/** Each adds one to the elements of the block; they differ in when they wait. */
const source = `#include "prelude/all.cuh"
extern "C" __global__ void waits_first(float* x) {
  grid_launch_dependents();
  grid_dependency_wait();
  x[threadIdx.x] += 1.0f;
}
extern "C" __global__ void reads_early(float* x) {
  const float value = x[threadIdx.x];
  grid_dependency_wait();
  x[threadIdx.x] = value + 1.0f;
}
extern "C" __global__ void half_waits(float* x) {
  if (threadIdx.x < 32) grid_dependency_wait();
  __syncthreads();
  x[threadIdx.x] += 1.0f;
}
extern "C" __global__ void never_waits(float* x) {
  x[64 + threadIdx.x] = 1.0f;
}
extern "C" __global__ void reads_far_early(float* x) {
  const float value = x[64 + threadIdx.x];
  grid_dependency_wait();
  x[threadIdx.x] += value;
}`;

describe.skipIf(missing)(
  `a launch that overlaps the one before it ${missing ? NO_NVRTC : ""}`,
  () => {
    let driver: InstrumentedDriver;
    let stream: Stream;
    let queue: (kernel: string, programmatic?: boolean) => void;

    beforeEach(async () => {
      driver = await openDriver("emulator", { computeCapability: "9.0" });
      driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
      stream = driver.streamCreate();
      const { ptx } = compileCuda(openNvrtc({}), {
        source,
        name: "dependent-launch.cu",
        arch: "sm_90",
        headers: preludeHeaders(),
      });
      const module = driver.moduleLoadData(new TextEncoder().encode(ptx));
      const x = driver.memAlloc(4 * 128);
      driver.memsetD32(x, 0, 128);
      queue = (kernel, programmatic = true) =>
        driver.launch(
          {
            function: driver.moduleGetFunction(module, kernel),
            grid: { x: 1, y: 1, z: 1 },
            block: { x: 64, y: 1, z: 1 },
            args: packArgs([{ type: "ptr", value: x }]),
            programmatic,
          },
          stream,
        );
    });
    afterEach(() => driver.close());

    const found = (): readonly Pick<Finding, "kind" | "kernel">[] => {
      driver.streamSynchronize(stream);
      return driver.findings().map(({ kind, kernel }) => ({ kind, kernel }));
    };

    it("is clean when every warp waits before it touches what the other wrote", () => {
      queue("waits_first", false);
      queue("waits_first");
      queue("waits_first");
      expect(found()).toEqual([]);
    });

    it("is reported when a warp reads before its wait", () => {
      queue("waits_first", false);
      queue("reads_early");
      expect(found()).toContainEqual({ kind: "missing-wait", kernel: "reads_early" });
      expect(driver.findings()[0]?.message).toMatch(
        /which kernel waits_first wrote .* before this warp's griddepcontrol.wait$/,
      );
    });

    it("is reported when one warp leaves the waiting to another", () => {
      queue("waits_first", false);
      queue("half_waits");
      expect(found()).toContainEqual({ kind: "missing-wait", kernel: "half_waits" });
    });

    it("is reported when it never waits, even if it touches nothing of the others", () => {
      queue("waits_first", false);
      queue("never_waits");
      expect(found()).toEqual([{ kind: "missing-wait", kernel: "never_waits" }]);
    });

    it("reaches over kernels that overlap themselves", () => {
      queue("never_waits", false);
      queue("waits_first");
      // What only the first kernel wrote, which the second may still be waiting for.
      queue("reads_far_early");
      expect(found()).toEqual([{ kind: "missing-wait", kernel: "reads_far_early" }]);
    });

    it("needs no wait when the launch is an ordinary one", () => {
      queue("waits_first", false);
      queue("reads_early", false);
      expect(found()).toEqual([]);
    });

    it("is watched in graphs too", () => {
      driver.streamBeginCapture(stream);
      queue("waits_first", false);
      queue("reads_early");
      const graph = driver.streamEndCapture(stream);
      const exec = driver.graphInstantiate(graph);
      driver.graphLaunch(exec, stream);
      expect(found()).toContainEqual({ kind: "missing-wait", kernel: "reads_early" });
      driver.graphExecDestroy(exec);
      driver.graphDestroy(graph);
    });
  },
);

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { chooseAuto, openDevice } from "../../../src/api/open-device.ts";
import { diagnose } from "../../../src/index.ts";
import { buildStub } from "../driver/build-stub.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hydrant-device-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const deviceOf = async (...args: Parameters<typeof openDevice>) => {
  const { executor, cacheType } = await openDevice(...args);
  await executor.dispose();
  return { device: executor.device, cache: cacheType("bf16") };
};

describe("device choice", () => {
  it("takes the CPU for auto where there is no driver, and doctor says so", async () => {
    vi.stubEnv("HYDRANT_CUDA_DRIVER", join(folder, "libcuda.so.1"));
    expect(await chooseAuto()).toMatchObject({
      device: "cpu",
      reason: expect.stringMatching(/driver/i) as string,
    });
    expect(await deviceOf("auto")).toEqual({ device: "cpu", cache: "f32" });
    const { checks } = await diagnose();
    expect(checks.find(({ name }) => name === "Device auto")).toMatchObject({
      status: "ok",
      detail: expect.stringMatching(/^cpu: /) as string,
    });
  });

  it("takes the CPU for auto where the driver is something else", async () => {
    vi.stubEnv("HYDRANT_CUDA_DRIVER", "libc.so.6");
    expect(await deviceOf("auto")).toMatchObject({ device: "cpu" });
  });

  it("says what is wrong with a GPU that was asked for", async () => {
    vi.stubEnv("HYDRANT_CUDA_DRIVER", join(folder, "libcuda.so.1"));
    await expect(openDevice("cuda")).rejects.toMatchObject({ code: "cuda/no-driver" });
    await expect(openDevice("cuda:1")).rejects.toMatchObject({ code: "cuda/no-driver" });
  });

  const stub = buildStub();
  const missing = "missing" in stub ? stub.missing : "";
  it.skipIf(missing !== "")(
    `counts the GPUs, and needs NVRTC beside the driver ${missing}`,
    async () => {
      vi.stubEnv("HYDRANT_CUDA_DRIVER", "path" in stub ? stub.path : "");
      vi.stubEnv("HYDRANT_NVRTC", folder);
      await expect(openDevice("cuda:7")).rejects.toMatchObject({
        code: "load/device",
        hint: "The driver shows 2: cuda:0 to cuda:1.",
      });
      await expect(openDevice("cuda:1")).rejects.toMatchObject({ code: "nvrtc/not-found" });
      expect(await deviceOf("auto")).toMatchObject({ device: "cpu" });
    },
  );

  it("refuses names and precisions it does not know", async () => {
    for (const name of ["gpu", "cuda:", "cuda:x", "CUDA", ""])
      await expect(openDevice(name)).rejects.toMatchObject({ code: "load/device" });
    await expect(openDevice("cpu", { precision: "f16" as "f32" })).rejects.toMatchObject({
      code: "load/precision",
    });
  });
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { diagnose } from "../../src/index.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { buildStub } from "../unit/driver/build-stub.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hydrant-doctor-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const nvrtc = installedNvrtc().at(0)?.nvrtc;
const named = async (name: string) => {
  const { checks } = await diagnose();
  return checks.find((check) => check.name === name);
};

describe("hydra doctor", () => {
  it("takes a machine without a driver as it is and says how to get one", async () => {
    vi.stubEnv("HYDRANT_CUDA_DRIVER", join(folder, "libcuda.so.1"));
    expect(await named("CUDA driver")).toMatchObject({
      status: "missing",
      fix: expect.stringMatching(/driver/) as string,
    });
  });

  it("tells a driver it cannot use from none", async () => {
    vi.stubEnv("HYDRANT_CUDA_DRIVER", "libc.so.6");
    expect(await named("CUDA driver")).toMatchObject({
      status: "broken",
      fix: "Update the NVIDIA driver to 525 (CUDA 12.0) or newer.",
    });
  });

  it("names the command that installs a missing compiler", async () => {
    vi.stubEnv("HYDRANT_NVRTC", folder);
    expect(await named("NVRTC")).toMatchObject({
      status: "broken",
      detail: expect.stringContaining("HYDRANT_NVRTC") as string,
    });
    expect(await named("A kernel on the emulator")).toMatchObject({ status: "missing" });
  });

  it("finds a cache it cannot write, whoever runs it", async () => {
    const file = join(folder, "not-a-folder");
    writeFileSync(file, "");
    vi.stubEnv("HYDRANT_CACHE_DIR", file);
    expect(await named("Cache")).toMatchObject({ status: "broken" });
  });

  const reason = nvrtc === undefined ? NO_NVRTC : "";
  it.skipIf(nvrtc === undefined)(
    `compiles and runs a kernel on the emulator ${reason}`,
    async () => {
      vi.stubEnv("HYDRANT_NVRTC", nvrtc?.library.path ?? "");
      vi.stubEnv("HYDRANT_CACHE_DIR", folder);
      const report = await diagnose();
      expect(report.nvrtc[0]).toMatchObject({ path: nvrtc?.library.path, origin: "HYDRANT_NVRTC" });
      const kernel = report.checks.find(({ name }) => name === "A kernel on the emulator");
      expect(kernel).toMatchObject({ status: "ok" });
    },
  );

  const stub = buildStub();
  const missing = "missing" in stub ? stub.missing : "";
  it.skipIf(missing !== "")(
    `lists devices, and notices a GPU that computes nothing ${missing}`,
    async () => {
      vi.stubEnv("HYDRANT_CUDA_DRIVER", "path" in stub ? stub.path : "");
      vi.stubEnv("HYDRANT_NVRTC", folder); // The stub's architecture is no real one.
      const { devices, checks } = await diagnose();
      expect(devices).toHaveLength(2);
      expect(devices[0]).toMatchObject({
        name: "Stub 40",
        computeCapability: "1075.1076",
        freeBytes: 3 * 2 ** 30,
        totalBytes: 80 * 2 ** 30,
      });
      expect(checks.map(({ name }) => name)).toContain("A kernel on the GPU");
    },
  );
});

import { describe, expect, it } from "vitest";
import { loopKernel } from "../../kernels/loop/loop.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { cudaHeaders } from "../../src/api/cuda-headers.ts";
import { installedNvrtc, NO_NVRTC } from "./nvrtc-here.ts";

// Older ones do not know the function that sets a condition; steps are launched one by one then.
const compilers = installedNvrtc().filter(({ nvrtc: { version } }) => version.major >= 12);

describe.skipIf(compilers.length === 0)(
  `the kernel that ends a run in a loop (${NO_NVRTC})`,
  () => {
    describe.each(compilers)("with $name", ({ nvrtc }) => {
      it.each(["sm_80", "sm_90a"])("compiles for %s and keeps everything in registers", (arch) => {
        const { entry, source } = loopKernel();
        const { cubin, ptx, resources } = compileCuda(nvrtc, {
          source,
          name: `${entry}.cu`,
          arch,
          headers: cudaHeaders(source),
        });
        expect(cubin.length).toBeGreaterThan(0);
        expect(resources[entry]).toMatchObject({ spillBytes: 0, stackBytes: 0 });
        // The word on the host's side is asked for before the wait, so that the bus delays nothing.
        const [asked, waited] = [ptx.indexOf("ld.volatile"), ptx.indexOf("griddepcontrol.wait")];
        expect(asked).toBeGreaterThan(0);
        expect(waited > asked).toBe(arch !== "sm_80");
      });
    });
  },
);

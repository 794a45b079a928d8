import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { installedNvrtc, NO_NVRTC } from "./nvrtc-here.ts";

const versions = installedNvrtc();
const source = readFileSync(new URL("../../bench/ceilings/memory.cu", import.meta.url), "utf8");

describe.skipIf(versions.length === 0)(
  `kernels that measure what memory reaches ${versions.length === 0 ? NO_NVRTC : ""}`,
  () => {
    it.for(versions.map((one) => [one.name, one.nvrtc] as const))(
      "fit blocks of 1024 threads, by %s",
      ([, nvrtc]) => {
        for (const arch of ["sm_80", "sm_90"]) {
          const { resources } = compileCuda(nvrtc, { source, name: "memory.cu", arch });
          expect(Object.keys(resources)).toHaveLength(5);
          for (const [kernel, { registers, spillBytes }] of Object.entries(resources)) {
            expect(1024 * registers, kernel).toBeLessThanOrEqual(65536);
            expect(spillBytes, kernel).toBe(0);
          }
        }
      },
    );
  },
);

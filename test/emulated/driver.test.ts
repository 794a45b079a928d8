import { describe, expect, it } from "vitest";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { driverCases } from "../conformance/driver-cases.ts";

const nvrtc = installedNvrtc().at(0)?.nvrtc;
if (nvrtc === undefined) describe.skip(NO_NVRTC, () => it("drives the emulator", () => {}));

const capabilities = ["8.0", "9.0"] as const;

describe.skipIf(nvrtc === undefined).for(capabilities)(
  "the driver interface on the emulator of a %s",
  (computeCapability) => {
    it.for(driverCases.map((one) => [one.name, one] as const))(
      "%s",
      async ([, { run, skip }], test) => {
        if (nvrtc === undefined) return;
        const driver = await openDriver("emulator", { computeCapability });
        driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
        const context = {
          driver,
          nvrtcMajor: nvrtc.version.major,
          image: (source: string) =>
            new TextEncoder().encode(
              compileCuda(nvrtc, {
                source,
                name: "driver-case.cu",
                arch: `sm_${computeCapability.replace(".", "")}`,
              }).ptx,
            ),
        };
        const reason = skip?.(context);
        test.skip(reason !== undefined, reason);
        run(context);
        driver.close();
        expect(driver.findings()).toEqual([]);
      },
    );
  },
);

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openEmulatedDriver } from "../../runtime/emulator/emulated-driver.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { runKernelCase } from "../conformance/kernels/kernel-case.ts";
import { kernelCases } from "../conformance/kernels/kernel-cases.ts";
import {
  conformanceSources,
  fixtureFolder,
  fixtureVersions,
} from "../conformance/kernels/sources.ts";

describe.each(fixtureVersions())("kernels compiled by NVRTC %s on the emulator", (version) => {
  const cases = kernelCases.filter(
    ({ nvrtcMajor = 0 }) => Number.parseInt(version, 10) >= nvrtcMajor,
  );

  it.each(cases)("$name", (test) => {
    const image = readFileSync(new URL(`${test.source}.ptx`, fixtureFolder(version)));
    for (const seed of [0, 1]) {
      const driver = openEmulatedDriver({
        seed,
        computeCapability: test.source === "hopper" ? "9.0" : "8.0",
      });
      driver.init();
      driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
      runKernelCase(driver, image, test);
      driver.close();
      expect(driver.findings()).toEqual([]);
    }
  });
});

const installed = installedNvrtc();
if (installed.length === 0)
  describe.skip(NO_NVRTC, () => it("keeps fixtures up to date", () => {}));

describe.each(installed)("fixtures of the kernels, $name", ({ nvrtc }) => {
  const version = `${nvrtc.version.major}.${nvrtc.version.minor}`;
  const isKept = fixtureVersions().includes(version);

  it.skipIf(!isKept).each(conformanceSources())(
    "$name is what the compiler makes of it now",
    (source) => {
      const { ptx } = compileCuda(nvrtc, {
        source: readFileSync(source.url, "utf8"),
        name: `/kernels/${source.name}.cu`,
        arch: source.archOf(nvrtc.version.major),
      });
      const kept = readFileSync(new URL(`${source.name}.ptx`, fixtureFolder(version)), "utf8");
      expect(kept, "run npx tsx scripts/ptx-fixtures.ts").toBe(ptx);
    },
  );
});

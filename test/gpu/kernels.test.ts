import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { runKernelCase } from "../conformance/kernels/kernel-case.ts";
import { kernelCases } from "../conformance/kernels/kernel-cases.ts";
import { conformanceSources } from "../conformance/kernels/sources.ts";
import { openGpu } from "./open-gpu.ts";

const gpu = await openGpu();

if (typeof gpu === "string") {
  describe.skip(`skipped: ${gpu}`, () => it("runs the kernels of the conformance suite", () => {}));
} else {
  const images = new Map<string, Uint8Array>();
  const imageOf = (name: string): Uint8Array => {
    const known = images.get(name);
    if (known !== undefined) return known;
    const source = conformanceSources().find((one) => one.name === name);
    if (source === undefined) throw new Error(`there is no ${name}.cu`);
    const image = gpu.image(readFileSync(source.url, "utf8"), `${name}.cu`);
    images.set(name, image);
    return image;
  };
  // The emulator's own device is a Hopper where a kernel needs one; a GPU may be older.
  const hopper = gpu.computeCapability === 90;
  describe(`kernels on ${gpu.name}`, () => {
    it.for(kernelCases.map((one) => [one.name, one] as const))("%s", ([, kernel], test) => {
      const { source, nvrtcMajor = 0 } = kernel;
      test.skip(source === "hopper" && !hopper, "needs compute capability 9.0");
      test.skip(gpu.nvrtcMajor < nvrtcMajor, `needs NVRTC ${nvrtcMajor}`);
      runKernelCase(gpu.driver, imageOf(source), kernel);
    });
  });
}

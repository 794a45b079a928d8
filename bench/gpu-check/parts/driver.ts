import { readFileSync } from "node:fs";
import { driverCases } from "../../../test/conformance/driver-cases.ts";
import { runKernelCase } from "../../../test/conformance/kernels/kernel-case.ts";
import { kernelCases } from "../../../test/conformance/kernels/kernel-cases.ts";
import { conformanceSources } from "../../../test/conformance/kernels/sources.ts";
import { openGpu } from "../../../test/gpu/open-gpu.ts";
import type { PartContext } from "../part.ts";

/** What every driver must do, and hand-written kernels whose results are known. */
export async function run(part: PartContext): Promise<void> {
  const gpu = await openGpu();
  if (typeof gpu === "string") throw new Error(gpu);
  const { driver, nvrtcMajor } = gpu;
  const context = {
    driver,
    nvrtcMajor,
    image: (source: string) => gpu.image(source, "driver-case.cu"),
  };
  for (const { name, run: runCase, skip } of driverCases) {
    const reason = skip?.(context);
    if (reason !== undefined) part.skip(name, reason);
    else await part.check(name, () => runCase(context));
  }
  const images = new Map(
    conformanceSources().map(({ name, url }) => [
      name,
      () => gpu.image(readFileSync(url, "utf8"), `${name}.cu`),
    ]),
  );
  const built = new Map<string, Uint8Array>();
  for (const kernel of kernelCases) {
    const { name, source, nvrtcMajor: least = 0 } = kernel;
    if (source === "hopper" && gpu.computeCapability !== 90) {
      part.skip(name, "needs compute capability 9.0");
    } else if (nvrtcMajor < least) {
      part.skip(name, `needs NVRTC ${least}`);
    } else {
      await part.check(name, () => {
        const image = built.get(source) ?? images.get(source)?.();
        if (image === undefined) throw new Error(`there is no ${source}.cu`);
        built.set(source, image);
        runKernelCase(driver, image, kernel);
      });
    }
  }
}

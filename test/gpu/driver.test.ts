import { describe, it } from "vitest";
import { driverCases } from "../conformance/driver-cases.ts";
import { openGpu } from "./open-gpu.ts";

const gpu = await openGpu();

if (typeof gpu === "string") {
  describe.skip(`skipped: ${gpu}`, () => it("drives a GPU", () => {}));
} else {
  describe(`the driver interface on ${gpu.name}`, () => {
    const context = {
      driver: gpu.driver,
      nvrtcMajor: gpu.nvrtcMajor,
      image: (source: string) => gpu.image(source, "driver-case.cu"),
    };
    it.for(driverCases.map((one) => [one.name, one] as const))("%s", ([, { run, skip }], test) => {
      const reason = skip?.(context);
      test.skip(reason !== undefined, reason);
      run(context);
    });
  });
}

import type { Inspection } from "../../inspection/inspection.ts";
import { chooseKernels } from "./inspect-program.ts";

/** Stage `specs` as JSON: kernels without their texts, with their launches. */
export function specsJson(inspection: Inspection, name: string | undefined): string {
  const { title, gpu, nvrtc, notCompiled, kernels, launches } = inspection;
  return print({
    title,
    gpu,
    nvrtc,
    notCompiled,
    kernels: chooseKernels(kernels, name).map((kernel) => {
      const { generated: _, cuda: __, compiled, ...spec } = kernel;
      const number = kernels.indexOf(kernel);
      const { ptx, ptxLines, sass, sassLines, log, ...resources } = compiled ?? {};
      return {
        ...spec,
        ...(compiled === undefined ? {} : { compiled: resources }),
        launches: launches.flatMap(({ args, kernel: own, ...launch }) =>
          own === number ? [launch] : [],
        ),
      };
    }),
  });
}

/** Stage `plan` as JSON. */
export function planJson(inspection: Inspection): string {
  const { title, gpu, kernels, launches, repeats, buffers, memory } = inspection;
  return print({
    title,
    gpu,
    launches: launches.map(({ kernel, ...launch }) => ({
      kernel: kernels[kernel]?.entry,
      ...launch,
    })),
    repeats,
    buffers,
    memory,
  });
}

const print = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

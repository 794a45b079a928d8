import { recordHeader } from "./kernels/kernel.ts";
import { barrierSlot, kernelNames, kernels } from "./kernels/module.ts";
import type { AcceptStep, KernelStep, Layout } from "./lower/step.ts";
import { type Phase, splitsByGroups } from "./schedule.ts";

/** A stretch of records all threads execute, then what the calling thread does alone. */
export interface Segment {
  /** Byte range in the program. */
  readonly begin: number;
  readonly end: number;
  readonly accepts: readonly AcceptStep[];
}

export interface Program {
  readonly words: Int32Array;
  readonly segments: readonly Segment[];
  /** The step of the record at a byte offset. */
  readonly stepAt: ReadonlyMap<number, KernelStep>;
}

/** Encodes phases as records with a barrier after each; `layout` gives the final addresses; `threads` as in `schedule`. */
export function encodeProgram(phases: readonly Phase[], layout: Layout, threads: number): Program {
  const words: number[] = [];
  const segments: Segment[] = [];
  const stepAt = new Map<number, KernelStep>();
  let begin = 0;
  for (const steps of phases) {
    const accepts: AcceptStep[] = [];
    for (const step of steps) {
      if (step.kind === "accept") {
        accepts.push(step);
        continue;
      }
      stepAt.set(4 * words.length, step);
      words.push(...record(step, layout, threads));
    }
    words.push(barrierSlot, 8);
    if (accepts.length > 0) {
      segments.push({ begin, end: 4 * words.length, accepts });
      begin = 4 * words.length;
    }
  }
  if (begin < 4 * words.length) segments.push({ begin, end: 4 * words.length, accepts: [] });
  return { words: Int32Array.from(words), segments, stepAt };
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

function record(step: KernelStep, layout: Layout, threads: number): number[] {
  const { args, extent, granule: usual } = step.encode(layout);
  const granule = splitsByGroups(step, threads) ? extent / (step.groups ?? 1) : usual;
  const parameters = Object.entries(kernels[step.kernel].params).flatMap(([name, kind]) => {
    if (kind === "scratch") return [];
    const value = args[name] ?? 0;
    if (kind === "i32") return [value];
    float[0] = value;
    return [bits[0] ?? 0];
  });
  const size = recordHeader.params + 4 * parameters.length;
  return [kernelNames.indexOf(step.kernel), size, extent, granule, ...parameters];
}

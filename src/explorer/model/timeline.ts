import type { ProgramOutline } from "../../inspection/stored-page.ts";
import { phasesOf } from "./phases.ts";
import { familyWork, timeOf } from "./step.ts";

/** A bar on the time axis, in microseconds from the start of the step. */
export interface Bar {
  readonly lane: number;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** In a tooltip, in place of `text`. */
  readonly title?: string;
  /** Index of the launch; undefined for a bar over several. */
  readonly launch: number | undefined;
  /** Whose colour: `phase verify`, `family linear`, `layer 3`. */
  readonly paint: string;
}

export interface Timeline {
  /** Names of the lanes, from the top: phases, layers where there are some, then families. */
  readonly lanes: readonly string[];
  readonly bars: readonly Bar[];
  /** Microseconds. */
  readonly length: number;
}

/** The step's launches one after the other, and over them the phases and the layers. */
export function timelineOf(program: ProgramOutline, measured: boolean): Timeline {
  const { launches, kernels, repeats } = program;
  const phases = phasesOf(program);
  const families = familyWork(program).map(({ family }) => family);
  const layered = repeats.filter(({ period }) => period > 1);
  const lanes = ["phase", ...(layered.length > 0 ? ["layers"] : []), ...families];
  const bars: Bar[] = [];
  const starts = [0];
  launches.forEach((launch, index) => {
    const start = starts[index] ?? 0;
    const end = start + timeOf(launch, measured);
    starts.push(end);
    const family = kernels[launch.kernel]?.family ?? "";
    bars.push({
      lane: lanes.indexOf(family),
      start,
      end,
      text: launch.label,
      launch: index,
      paint: `family ${family}`,
    });
  });
  const over = (from: number, to: number) => ({
    start: starts[from] ?? 0,
    end: starts[to] ?? 0,
    launch: undefined,
  });
  for (let first = 0; first < launches.length; ) {
    const phase = phases[first] ?? "verify";
    let last = first;
    while (phases[last + 1] === phase) last++;
    bars.push({ lane: 0, text: phase, paint: `phase ${phase}`, ...over(first, last + 1) });
    first = last + 1;
  }
  for (const { start, period, times } of layered)
    for (let time = 0; time < times; time++) {
      const from = start + time * period;
      bars.push({
        lane: 1,
        text: `${time + 1}`,
        title: `${time + 1} of ${times}`,
        paint: `layer ${time}`,
        ...over(from, from + period),
      });
    }
  return { lanes, bars, length: starts.at(-1) ?? 0 };
}

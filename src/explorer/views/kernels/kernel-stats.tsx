import type { InspectedLaunch } from "../../../inspection/inspection.ts";
import type { ProgramOutline } from "../../../inspection/stored-page.ts";
import {
  formatBytes,
  formatFlops,
  formatGrid,
  formatIntensity,
  formatKibibytes,
  formatMicroseconds,
  formatPercent,
  formatRate,
} from "../../common/format.ts";
import type { Stat } from "../../common/Stats.tsx";
import type { KernelWork } from "../../model/step.ts";
import classes from "./kernels.module.css";

/** A kernel's figures in one row: what it costs, and what a block of it needs. */
export function kernelStats(
  { gpu }: ProgramOutline,
  { kernel, time, measured, bytes, weightBytes, flops, launches: count }: KernelWork,
  launches: readonly (readonly [number, InspectedLaunch])[],
): readonly Stat[] {
  const { compiled } = kernel;
  const shared = kernel.dynamicSharedBytes + (compiled?.staticSharedBytes ?? 0);
  const seconds = (measured ?? time) * 1e-6;
  const grids = [...new Set(launches.map(([, { grid }]) => formatGrid(grid)))];
  const stats: Stat[] = [
    {
      name: measured === undefined ? "Time, modelled" : "Time, measured",
      value: formatMicroseconds(measured ?? time),
      note: measured === undefined ? undefined : `${formatMicroseconds(time)} modelled`,
    },
    {
      name: "Launches",
      value: count,
      note: grids.length === 1 ? `grid ${grids[0]}` : `${grids.length} grids`,
    },
    { name: "Threads", value: kernel.threads, note: "a block" },
  ];
  if (compiled !== undefined) {
    const { registers, spillBytes, stackBytes, occupancy } = compiled;
    stats.push(
      {
        name: "Registers",
        value: <span data-testid="registers">{registers}</span>,
        note:
          spillBytes > 0 ? (
            <span className={classes.bad}>{`${formatBytes(spillBytes)} spilled`}</span>
          ) : stackBytes > 0 ? (
            `${formatBytes(stackBytes)} stack`
          ) : (
            "no spills"
          ),
      },
      {
        name: "Shared memory",
        value: formatKibibytes(shared),
        note: `of ${formatKibibytes(gpu.sharedBytesPerBlock)}`,
      },
      {
        name: "Occupancy",
        value: formatPercent(occupancy.fraction),
        note: `${occupancy.blocksPerMultiprocessor} ${occupancy.blocksPerMultiprocessor === 1 ? "block" : "blocks"}, by ${occupancy.limitedBy}`,
      },
    );
  } else {
    stats.push({ name: "Shared memory", value: formatKibibytes(shared) });
  }
  stats.push(
    {
      name: "Bytes",
      value: formatBytes(bytes),
      note: `${formatRate(seconds === 0 ? 0 : bytes / seconds, "B/s")}${
        weightBytes > 0 ? `, ${formatPercent(weightBytes / bytes)} weights` : ""
      }`,
    },
    {
      name: "Work",
      value: formatFlops(flops),
      note: formatIntensity(flops, bytes),
    },
  );
  return stats;
}

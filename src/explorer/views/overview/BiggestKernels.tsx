import { useMemo } from "react";
import { hrefOf } from "../../app/place.ts";
import { Dot, ShareBar } from "../../common/Bars.tsx";
import { usePalette } from "../../common/colors.ts";
import common from "../../common/common.module.css";
import { formatMicroseconds, formatPercent } from "../../common/format.ts";
import { KernelLink } from "../../common/KernelLink.tsx";
import { Panel } from "../../common/Panel.tsx";
import { useProgram } from "../../data/page-context.ts";
import { kernelWork, withMeasured } from "../../model/step.ts";
import classes from "./overview.module.css";

const count = 9;

/** The kernels that take most of a step. */
export function BiggestKernels({ measured }: { readonly measured: boolean }) {
  const program = useProgram();
  const palette = usePalette();
  const kernels = useMemo(
    () =>
      kernelWork(measured ? withMeasured(program) : program).toSorted((a, b) => b.time - a.time),
    [program, measured],
  );
  const total = kernels.reduce((sum, { time }) => sum + time, 0);
  const most = kernels[0]?.time ?? 1;
  return (
    <Panel
      title="Biggest kernels"
      note={<a href={hrefOf("kernels")}>all {kernels.length} kernels</a>}
    >
      <table className={common.table}>
        <thead>
          <tr>
            <th>Kernel</th>
            <th data-number>Launches</th>
            <th data-number>Time</th>
            <th data-number>Share</th>
          </tr>
        </thead>
        <tbody>
          {kernels.slice(0, count).map(({ kernel, launches, time }) => (
            <tr key={kernel.entry}>
              <td className={classes.kernel}>
                <span className={common.family}>
                  <Dot color={palette.family(kernel.family)} />
                  <KernelLink entry={kernel.entry} />
                </span>
                <ShareBar share={time / most} color={palette.family(kernel.family)} />
              </td>
              <td data-number>{launches}</td>
              <td data-number>{formatMicroseconds(time)}</td>
              <td data-number>{formatPercent(time / total)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

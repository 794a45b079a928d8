import { Tooltip } from "@mantine/core";
import { useMemo } from "react";
import { Dot, StackedBar } from "../../common/Bars.tsx";
import { usePalette } from "../../common/colors.ts";
import common from "../../common/common.module.css";
import { formatBytes, formatMicroseconds, formatPercent } from "../../common/format.ts";
import { Panel } from "../../common/Panel.tsx";
import { useProgram } from "../../data/page-context.ts";
import { phaseMeanings, phaseWork } from "../../model/phases.ts";
import { withMeasured } from "../../model/step.ts";

/** How a step's time divides into drafting, verifying and the rest. */
export function PhasesPanel({ measured }: { readonly measured: boolean }) {
  const program = useProgram();
  const palette = usePalette();
  const parts = useMemo(
    () => phaseWork(measured ? withMeasured(program) : program),
    [program, measured],
  );
  const total = parts.reduce((sum, { time }) => sum + time, 0);
  return (
    <Panel
      title="Where the step's time goes"
      note={`${formatMicroseconds(total)} ${measured ? "measured" : "modelled"}`}
    >
      <StackedBar
        label="Time by phase"
        parts={parts.map(({ phase, time }) => ({
          name: phase,
          value: time,
          text: formatMicroseconds(time),
          color: palette.phase(phase),
        }))}
      />
      <table className={common.table} style={{ marginTop: 10 }}>
        <thead>
          <tr>
            <th>Phase</th>
            <th data-number>Time</th>
            <th data-number>Share</th>
            <th data-number>Launches</th>
            <th data-number>Weights</th>
            <th data-number>Other bytes</th>
          </tr>
        </thead>
        <tbody>
          {parts.map(({ phase, time, launches, weightBytes, bytes }) => (
            <tr key={phase}>
              <td>
                <Tooltip label={phaseMeanings[phase]} position="right">
                  <span className={common.family}>
                    <Dot color={palette.phase(phase)} />
                    {phase}
                  </span>
                </Tooltip>
              </td>
              <td data-number>{formatMicroseconds(time)}</td>
              <td data-number>{formatPercent(time / total)}</td>
              <td data-number>{launches}</td>
              <td data-number>{formatBytes(weightBytes)}</td>
              <td data-number>{formatBytes(bytes - weightBytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

import { useState } from "react";
import type { InspectedArgument, InspectedLaunch } from "../../../inspection/inspection.ts";
import { hrefOf } from "../../app/place.ts";
import common from "../../common/common.module.css";
import { formatBytes, formatGrid, formatMicroseconds } from "../../common/format.ts";
import { Panel } from "../../common/Panel.tsx";
import { useProgram } from "../../data/page-context.ts";
import classes from "./kernels.module.css";

/** A kernel's launches; of the chosen one, the arguments. */
export function Launches({
  launches,
}: {
  readonly launches: readonly (readonly [number: number, launch: InspectedLaunch])[];
}) {
  const [chosen, setChosen] = useState(launches[0]?.[0]);
  const args = launches.find(([number]) => number === chosen)?.[1].args ?? [];
  return (
    <div className={classes.launches}>
      <Panel title="Launches" note="choose one to see its arguments">
        <table className={common.table}>
          <thead>
            <tr>
              <th>#</th>
              <th>Computes</th>
              <th data-number>Grid</th>
              <th data-number>Bytes</th>
              <th data-number>Time</th>
            </tr>
          </thead>
          <tbody>
            {launches.map(([number, launch]) => (
              <tr key={number} data-chosen={number === chosen || undefined}>
                <td>
                  <a href={hrefOf("graph", undefined, { group: launch.group?.toString() })}>
                    {number}
                  </a>
                </td>
                <td>
                  <button
                    type="button"
                    className={classes.choose}
                    aria-pressed={number === chosen}
                    onClick={() => setChosen(number)}
                  >
                    {launch.label}
                  </button>
                </td>
                <td data-number>{formatGrid(launch.grid)}</td>
                <td data-number>
                  {formatBytes(launch.weightBytes + launch.readBytes + launch.writtenBytes)}
                </td>
                <td data-number>{formatMicroseconds(launch.measured ?? launch.modelled)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
      <Panel title={`Arguments of launch ${chosen}`}>
        <table className={common.table}>
          <thead>
            <tr>
              <th>Name</th>
              <th>Type</th>
              <th>Access</th>
              <th>What</th>
            </tr>
          </thead>
          <tbody>
            {args.map((argument) => (
              <tr key={argument.name}>
                <td className={classes.mono}>{argument.name}</td>
                <td className={classes.mono}>{argument.type}</td>
                <td>{argument.access}</td>
                <td>
                  <Value argument={argument} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
    </div>
  );
}

function Value({ argument }: { readonly argument: InspectedArgument }) {
  const { buffers } = useProgram();
  if (argument.value !== undefined) return <code>{argument.value}</code>;
  const [first = -1, ...more] = argument.buffers ?? [];
  const buffer = buffers[first];
  if (buffer === undefined) return null;
  return (
    <>
      <a href={hrefOf("memory", undefined, { find: buffer.label })}>{buffer.label}</a>
      {more.length > 0 && ` and ${more.length} more`}
      <small className={classes.bufferNote}>
        {buffer.kind} · {buffer.type} · {formatBytes(buffer.bytes)}
      </small>
    </>
  );
}

import { hrefOf } from "../../app/place.ts";
import { Dot, StackedBar } from "../../common/Bars.tsx";
import { usePalette } from "../../common/colors.ts";
import common from "../../common/common.module.css";
import { formatBytes, formatPercent } from "../../common/format.ts";
import { Panel } from "../../common/Panel.tsx";
import { useProgram } from "../../data/page-context.ts";

/** What the device holds: weights, caches, arena and the rest. */
export function MemoryPanel({ linked = false }: { readonly linked?: boolean }) {
  const { memory } = useProgram();
  const palette = usePalette();
  const parts = [
    { name: "weights", value: memory.weights, note: "as the kernels read them" },
    {
      name: "KV caches",
      value: memory.caches,
      note: `${memory.capacity.toLocaleString("en")} slots of every layer`,
    },
    { name: "arena", value: memory.arena, note: "activations, shared by liveness" },
    { name: "other", value: memory.other + memory.ring, note: "states, constants, outputs" },
  ].map((part, index) => ({
    ...part,
    text: formatBytes(part.value),
    color: palette.nth(index),
  }));
  const total = parts.reduce((sum, { value }) => sum + value, 0);
  return (
    <Panel
      title="Device memory"
      note={linked ? <a href={hrefOf("memory")}>memory map</a> : formatBytes(total)}
    >
      <StackedBar label="Memory" parts={parts} />
      <table className={common.table} style={{ marginTop: 10 }}>
        <tbody>
          {parts.map(({ name, value, text, color, note }) => (
            <tr key={name}>
              <td>
                <span className={common.family}>
                  <Dot color={color} />
                  {name}
                </span>
              </td>
              <td style={{ color: "var(--mantine-color-dimmed)" }}>{note}</td>
              <td data-number>{text}</td>
              <td data-number>{formatPercent(value / total)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

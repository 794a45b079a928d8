import { Tooltip } from "@mantine/core";
import classes from "./common.module.css";

export interface BarPart {
  readonly name: string;
  readonly value: number;
  readonly text: string;
  readonly color: string;
}

/** Parts of a whole, side by side in proportion. */
export function StackedBar({
  parts,
  label,
}: {
  readonly parts: readonly BarPart[];
  readonly label: string;
}) {
  return (
    <div
      className={classes.bar}
      role="img"
      aria-label={`${label}: ${parts.map(({ name, text }) => `${name} ${text}`).join(", ")}`}
    >
      {parts
        .filter(({ value }) => value > 0)
        .map(({ name, value, text, color }) => (
          <Tooltip key={name} label={`${name}: ${text}`}>
            <div style={{ flexGrow: value, flexBasis: 0, background: color }} />
          </Tooltip>
        ))}
    </div>
  );
}

/** How much of the largest or of the whole: 0 to 1. */
export function ShareBar({ share, color }: { readonly share: number; readonly color: string }) {
  return (
    <div className={classes.share} aria-hidden="true">
      <div style={{ width: `${Math.min(100, 100 * share)}%`, background: color }} />
    </div>
  );
}

export function Dot({ color }: { readonly color: string }) {
  return <span className={classes.dot} style={{ background: color }} aria-hidden="true" />;
}

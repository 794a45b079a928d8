import type { ReactNode } from "react";
import classes from "./common.module.css";

export interface Stat {
  readonly name: string;
  readonly value: ReactNode;
  readonly note?: ReactNode;
}

/** A row of figures with their names. */
export function Stats({ stats }: { readonly stats: readonly Stat[] }) {
  return (
    <dl className={classes.stats}>
      {stats.map(({ name, value, note }) => (
        <div key={name} className={classes.stat}>
          <dt>{name}</dt>
          <dd>
            {value}
            {note !== undefined && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

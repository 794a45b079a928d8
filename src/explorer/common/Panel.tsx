import type { ReactNode } from "react";
import classes from "./common.module.css";

/** A part of a view with a title. */
export function Panel({
  title,
  note,
  children,
}: {
  readonly title?: string;
  readonly note?: ReactNode;
  readonly children: ReactNode;
}) {
  return (
    <section className={classes.panel} aria-label={title}>
      {title !== undefined && (
        <div className={classes.panelHead}>
          <h3 className={classes.panelTitle}>{title}</h3>
          {note !== undefined && <span className={classes.panelNote}>{note}</span>}
        </div>
      )}
      {children}
    </section>
  );
}

/** Title of a view, a sentence on what it shows, and its controls. */
export function ViewHead({
  title,
  about,
  children,
}: {
  readonly title: string;
  readonly about?: ReactNode;
  readonly children?: ReactNode;
}) {
  return (
    <div className={classes.head}>
      <div>
        <h2>{title}</h2>
        {about !== undefined && <p>{about}</p>}
      </div>
      {children}
    </div>
  );
}

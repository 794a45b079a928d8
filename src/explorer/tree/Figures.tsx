import classes from "./tree-view.module.css";

/** Named figures in a row. */
export function Figures({
  figures,
}: {
  readonly figures: readonly { readonly name: string; readonly value: string }[];
}) {
  return (
    <dl className={classes.figures}>
      {figures.map(({ name, value }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

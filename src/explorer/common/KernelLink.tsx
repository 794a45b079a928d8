import { hrefOf } from "../app/place.ts";
import { Dot } from "./Bars.tsx";
import { usePalette } from "./colors.ts";
import classes from "./common.module.css";

/** A kernel's name that leads to it. */
export function KernelLink({ entry }: { readonly entry: string }) {
  return (
    <a className={classes.link} href={hrefOf("kernels", entry)}>
      {entry}
    </a>
  );
}

/** A family's name with its colour. */
export function Family({ family }: { readonly family: string }) {
  return (
    <span className={classes.family}>
      <Dot color={usePalette().family(family)} />
      {family}
    </span>
  );
}

/** Which colour is which family. */
export function FamilyLegend({ families }: { readonly families: Iterable<string> }) {
  return (
    <span className={classes.legend}>
      {[...new Set(families)].map((family) => (
        <Family key={family} family={family} />
      ))}
    </span>
  );
}

import { useComputedColorScheme } from "@mantine/core";
import type { Phase } from "../model/phases.ts";

/** A colour in both schemes: of like lightness, told apart by most eyes. */
interface Shades {
  readonly light: string;
  readonly dark: string;
}

const blue = { light: "#2f6fde", dark: "#5b93f5" };
const orange = { light: "#e07a1f", dark: "#f0984a" };
const violet = { light: "#8355d6", dark: "#a883ee" };
const green = { light: "#2a9d5c", dark: "#4dbd7e" };
const pink = { light: "#d6488a", dark: "#ee72ab" };
const gold = { light: "#b58a00", dark: "#dcb534" };
const cyan = { light: "#1593ac", dark: "#3fb8d0" };
const red = { light: "#cf4040", dark: "#ee6b6b" };
const slate = { light: "#64748b", dark: "#94a3b8" };
const brown = { light: "#94664a", dark: "#c0957a" };

const families: Readonly<Record<string, Shades>> = {
  linear: blue,
  attention: orange,
  accept: violet,
  topk: green,
  cache: pink,
  embedding: gold,
  elementwise: cyan,
  rows: cyan,
  "rms-norm": red,
  rope: brown,
  finish: slate,
};

const phaseShades: Readonly<Record<Phase, Shades>> = {
  draft: green,
  verify: blue,
  accept: violet,
  commit: pink,
  absorb: orange,
  publish: slate,
};

export interface Palette {
  readonly dark: boolean;
  readonly text: string;
  readonly dimmed: string;
  readonly line: string;
  readonly faint: string;
  readonly surface: string;
  readonly accent: string;
  family(family: string): string;
  phase(phase: Phase): string;
  /** The n-th of any number of colours. */
  nth(index: number): string;
}

const nthShades = [blue, orange, green, violet, gold, pink, cyan, red, brown, slate];

function palette(scheme: "light" | "dark"): Palette {
  const dark = scheme === "dark";
  return {
    dark,
    text: dark ? "#c9c9c9" : "#1f2328",
    dimmed: dark ? "#8b8f97" : "#6b7280",
    line: dark ? "#3b3d42" : "#e3e6ea",
    faint: dark ? "#303136" : "#f0f2f4",
    surface: dark ? "#2a2b2f" : "#ffffff",
    accent: dark ? "#28c4ab" : "#078274",
    family: (family) => (families[family] ?? slate)[scheme],
    phase: (phase) => phaseShades[phase][scheme],
    nth: (index) => (nthShades[index % nthShades.length] ?? slate)[scheme],
  };
}

const light = palette("light");
const dark = palette("dark");

/** Colours of the present scheme, the same object every time. */
export const usePalette = (): Palette =>
  useComputedColorScheme("light") === "dark" ? dark : light;

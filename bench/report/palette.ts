export interface Palette {
  readonly scheme: "light" | "dark";
  readonly text: string;
  readonly muted: string;
  readonly axis: string;
  readonly grid: string;
  /** Behind marks and tooltips. */
  readonly surface: string;
  /** Tint of a region that is worth being in. */
  readonly good: string;
  readonly bad: string;
  readonly series: readonly string[];
  /** Lowest and highest of a heat map. */
  readonly heat: readonly string[];
}

export const lightPalette: Palette = {
  scheme: "light",
  text: "#1f2328",
  muted: "#59636e",
  axis: "#9aa4ae",
  grid: "#e4e8ec",
  surface: "#ffffff",
  good: "#1a7f37",
  bad: "#cf222e",
  series: [
    "#2563eb",
    "#c2570c",
    "#0d8a6a",
    "#7c3aed",
    "#be185d",
    "#0e7490",
    "#5b7a0a",
    "#9a6700",
    "#64748b",
    "#c93636",
  ],
  heat: ["#f3f6fb", "#cfe0fb", "#8fb8f4", "#4a86e8", "#1e4fae"],
};

export const darkPalette: Palette = {
  scheme: "dark",
  text: "#e6edf3",
  muted: "#9198a1",
  axis: "#5b6570",
  grid: "#2b323a",
  surface: "#161b22",
  good: "#3fb950",
  bad: "#f85149",
  series: [
    "#6ea8fe",
    "#f59f5a",
    "#3fcf9f",
    "#b392f7",
    "#f27bb0",
    "#45c5dd",
    "#b3d04a",
    "#e3b341",
    "#94a3b8",
    "#ee6b6b",
  ],
  heat: ["#1b2330", "#1d3760", "#24549c", "#3b7de0", "#8fbcff"],
};

/** Methods keep their colour from chart to chart; other names take the next free one. */
const known: Readonly<Record<string, number>> = {
  plain: 8,
  hydra: 0,
  medusa: 1,
  "hydra-plus-plus": 3,
  "hydra++": 3,
  peers: 7,
  linear: 0,
  attention: 1,
  topk: 2,
  accept: 3,
  cache: 4,
  "rms-norm": 9,
  embedding: 7,
};

/** The colour of each of the names. */
export function coloursOf(names: readonly string[], palette: Palette): (name: string) => string {
  const taken = new Set(names.flatMap((name) => known[name] ?? []));
  const free = palette.series.map((_, index) => index).filter((index) => !taken.has(index));
  const others = [...new Set(names)].filter((name) => known[name] === undefined);
  return (name) => {
    const index = known[name] ?? free[others.indexOf(name) % Math.max(1, free.length)] ?? 0;
    return palette.series[index] ?? palette.text;
  };
}

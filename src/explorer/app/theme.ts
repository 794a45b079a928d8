import { createTheme, type MantineColorsTuple } from "@mantine/core";

const teal: MantineColorsTuple = [
  "#e4fbf8",
  "#cdf2ec",
  "#9de5da",
  "#69d7c6",
  "#41cbb6",
  "#28c4ab",
  "#12a693",
  "#078274",
  "#00695e",
  "#004f46",
];

export const theme = createTheme({
  primaryColor: "teal",
  primaryShade: { light: 7, dark: 5 },
  colors: { teal },
  autoContrast: true,
  defaultRadius: "md",
  cursorType: "pointer",
  fontFamily:
    'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", SFMono-Regular, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  headings: { fontWeight: "650" },
  components: {
    Badge: { defaultProps: { tt: "none", fw: 550, radius: "sm" } },
    Tooltip: { defaultProps: { openDelay: 250, withArrow: true } },
  },
});

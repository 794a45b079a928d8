import "@mantine/core/styles.css";
import { MantineProvider } from "@mantine/core";
import { use as addParts } from "echarts/core";
import { createRoot } from "react-dom/client";
import { theme } from "../../../src/explorer/app/theme.ts";
import { chartParts } from "../chart-parts.ts";
import { reportOf } from "../report.ts";
import type { ResultFile } from "../result-file.ts";
import { App } from "./App.tsx";

addParts(chartParts);

const root = document.getElementById("root");
const results = document.getElementById("results");
if (root === null || results === null) throw new Error("The page has no root or no results.");
// Read and checked when the page was made.
const files = JSON.parse(results.textContent, restoreNaN) as readonly ResultFile[];
createRoot(root).render(
  <MantineProvider theme={theme} defaultColorScheme="auto">
    <App sections={reportOf(files)} />
  </MantineProvider>,
);

/** JSON has no word for NaN: the page's maker wrote `null`. */
function restoreNaN(key: string, value: unknown): unknown {
  return value === null && ["median", "min", "max"].includes(key) ? Number.NaN : value;
}

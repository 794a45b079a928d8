import { fileURLToPath } from "node:url";
import { bundleExplorer } from "../../src/api/inspect/bundle-explorer.ts";
import { htmlPage } from "../../src/api/inspect/html-page.ts";
import type { ResultFile } from "./result-file.ts";

const entry = fileURLToPath(new URL("page/main.tsx", import.meta.url));

/**
 * All charts and tables of the files on one page: an HTML file that needs no network and, by its own
 * content policy, can reach none. The results are in it as they are.
 * @throws esbuild's error for code that does not bundle.
 */
export async function reportPage(files: readonly ResultFile[]): Promise<string> {
  const { js, css } = await bundleExplorer(entry);
  const title = files.map(({ label }) => label).join(", ");
  // No `<` in the data: nothing in it can end the element.
  const results = JSON.stringify(files).replaceAll("<", "\\u003c");
  return htmlPage({
    title: `${title} – hydrant benchmarks`,
    data: `<script id="results" type="application/json">${results}</script>`,
    js,
    css,
  });
}

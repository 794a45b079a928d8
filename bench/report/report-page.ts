import { fileURLToPath } from "node:url";
import { bundleExplorer } from "../../src/api/inspect/bundle-explorer.ts";
import { escapeMarkup } from "./chart.ts";
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
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:">
<link rel="icon" href="data:,">
<title>${escapeMarkup(title)} – hydrant benchmarks</title>
<style>${css.replaceAll("</style", "<\\/style")}</style>
</head>
<body>
<div id="root"></div>
<noscript>This page needs JavaScript.</noscript>
<script id="results" type="application/json">${results}</script>
<script>${js.replaceAll("</script", "<\\/script")}</script>
</body>
</html>
`;
}

export interface HtmlPage {
  readonly title: string;
  /** Script elements that hold the page's data; nothing in them may end an element. */
  readonly data: string;
  readonly js: string;
  readonly css: string;
}

/** One HTML file that needs no network and, by its own content policy, can reach none. */
export function htmlPage({ title, data, js, css }: HtmlPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${css.replaceAll("</style", "<\\/style")}</style>
</head>
<body>
<div id="root"></div>
<noscript>This page needs JavaScript.</noscript>
${data}
<script>${js.replaceAll("</script", "<\\/script")}</script>
</body>
</html>
`;
}

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const escapeHtml = (text: string): string =>
  text.replace(/[&<>]/g, (character) => escapes[character] ?? "");

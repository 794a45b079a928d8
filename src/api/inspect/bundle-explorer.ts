/** The explorer's program and styles, as they go into a page. */
export interface ExplorerBundle {
  readonly js: string;
  readonly css: string;
}

/**
 * Bundles `entry` (src/explorer/main.tsx) for browsers; licences of packages stay in the text.
 * Needs esbuild, which a checkout has and an installed package does not.
 * @throws esbuild's error for code that does not bundle.
 */
export async function bundleExplorer(entry: string): Promise<ExplorerBundle> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [entry],
    outdir: "explorer",
    write: false,
    bundle: true,
    minify: true,
    format: "iife",
    platform: "browser",
    target: ["chrome110", "firefox115", "safari16.4"],
    jsx: "automatic",
    legalComments: "eof",
    define: { "process.env.NODE_ENV": '"production"' },
    charset: "utf8",
    logLevel: "silent",
  });
  const textOf = (ending: string) =>
    outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? "";
  return { js: textOf(".js"), css: textOf(".css") };
}

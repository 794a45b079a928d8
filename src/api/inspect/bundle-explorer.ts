import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** The explorer's program and styles, as they go into a page. */
export interface ExplorerBundle {
  readonly js: string;
  readonly css: string;
}

/**
 * Bundles `entry` (src/explorer/main.tsx) for browsers, with the licences of what is in it at the end.
 * Needs esbuild, which a checkout has and an installed package does not.
 * @throws esbuild's error for code that does not bundle.
 */
export async function bundleExplorer(entry: string): Promise<ExplorerBundle> {
  const { build } = await import("esbuild");
  const folder = dirname(entry);
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    absWorkingDir: folder,
    outdir: "explorer",
    write: false,
    bundle: true,
    metafile: true,
    minify: true,
    format: "iife",
    platform: "browser",
    target: ["chrome110", "firefox115", "safari16.4"],
    jsx: "automatic",
    legalComments: "none",
    define: { "process.env.NODE_ENV": '"production"' },
    charset: "utf8",
    logLevel: "silent",
  });
  const textOf = (ending: string) =>
    outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? "";
  const licences = await licencesOf(Object.keys(metafile.inputs).map((path) => join(folder, path)));
  return { js: `${textOf(".js")}\n/*\n${licences}\n*/\n`, css: textOf(".css") };
}

/** Licences and notices of the packages that files are of, each text once under its packages. */
async function licencesOf(paths: readonly string[]): Promise<string> {
  const packageRoot = /^.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/;
  const folders = new Map(
    paths.flatMap((path): [string, string][] => {
      const match = packageRoot.exec(path);
      return match === null ? [] : [[match[0], match[1] ?? ""]];
    }),
  );
  const names = new Map<string, string[]>();
  for (const [folder, name] of [...folders].sort(([, a], [, b]) => (a < b ? -1 : 1))) {
    const files = (await readdir(folder)).filter((own) =>
      /^(licen[cs]e|notice)([.-]|$)/i.test(own),
    );
    const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
    const text =
      texts.map((own) => own.trim().replaceAll("*/", "* /")).join("\n\n") ||
      `Licence: ${await declaredLicence(folder)}`;
    names.set(text, [...(names.get(text) ?? []), name]);
  }
  return [...names].map(([text, own]) => `${own.join(", ")}\n\n${text}`).join("\n\n----\n\n");
}

async function declaredLicence(folder: string): Promise<string> {
  const { license }: { readonly license?: unknown } = JSON.parse(
    await readFile(join(folder, "package.json"), "utf8"),
  );
  return String(license);
}

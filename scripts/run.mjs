// Runs a TypeScript entry point, or a tool with --bin, after making sure the dependencies are there.
// Plain JavaScript without dependencies: it must work on a fresh clone, before `npm ci`.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`hydrant needs Node 20.19 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

// npm writes this file last, so an interrupted install is seen as missing.
if (!existsSync(join(root, "node_modules", ".package-lock.json"))) {
  console.error("Dependencies are missing: running `npm ci` first (once, about ten seconds)...");
  const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    // stdout belongs to the program: `--json` promises one object and nothing else.
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (npm.status !== 0) {
    console.error(
      "`npm ci` failed. Check the network or the npm registry settings, then try again.",
    );
    process.exit(1);
  }
}

// In this process rather than a child of it: one start-up less, and Ctrl-C has one owner.
const [entry = "", ...rest] = process.argv.slice(2);
if (entry === "--bin") {
  const name = rest.shift() ?? "";
  process.argv.splice(
    1,
    Number.POSITIVE_INFINITY,
    join(root, "node_modules", name, `${name}.mjs`),
    ...rest,
  );
} else {
  process.argv.splice(1, Number.POSITIVE_INFINITY, join(root, entry), ...rest);
  const { register } = await import("tsx/esm/api");
  register();
}
await import(pathToFileURL(process.argv[1] ?? "").href);

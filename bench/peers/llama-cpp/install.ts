import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { HydrantError } from "../../../src/util/errors.ts";

/** Prebuilt CPU binaries of node-llama-cpp; the GPU ones are hundreds of megabytes. */
const prebuilt: Readonly<Record<string, string>> = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "darwin-x64": "mac-x64",
  "darwin-arm64": "mac-arm64-metal",
  "win32-x64": "win-x64",
  "win32-arm64": "win-arm64",
};

/**
 * Installs node-llama-cpp, at the version package.json pins, into a folder of its own: about 85 MB,
 * of which nothing is compiled and no install script is run. Does nothing when it is there.
 * @returns the package's entry point.
 * @throws HydrantError `bench/peer` where there is no prebuilt binary or npm fails.
 */
export function installLlamaCpp(folder: string): string {
  const manifest = fileURLToPath(new URL("package.json", import.meta.url));
  const { dependencies } = JSON.parse(readFileSync(manifest, "utf8")) as {
    dependencies: { "node-llama-cpp": string };
  };
  const version = dependencies["node-llama-cpp"];
  const platform = `${process.platform}-${process.arch}`;
  const binary = prebuilt[platform];
  if (binary === undefined)
    throw new HydrantError("bench/peer", `node-llama-cpp has no prebuilt binary for ${platform}.`);

  const modules = join(folder, "node_modules");
  const installed = ["node-llama-cpp", join("@node-llama-cpp", binary)].every(
    (name) => versionOf(join(modules, name)) === version,
  );
  if (!installed) {
    console.error(`Installing node-llama-cpp ${version} into ${folder} (once)...`);
    mkdirSync(folder, { recursive: true });
    copyFileSync(manifest, join(folder, "package.json"));
    // The package lists the binaries of every platform and GPU as optional: none of them but ours.
    const args = ["install", "--ignore-scripts", "--omit=optional", "--no-save", "--no-audit"];
    const npm = spawnSync(
      "npm",
      [...args, "--no-fund", "--loglevel=error", `@node-llama-cpp/${binary}@${version}`],
      { cwd: folder, stdio: ["ignore", 2, 2], shell: process.platform === "win32" },
    );
    if (npm.status !== 0)
      throw new HydrantError("bench/peer", "npm could not install node-llama-cpp.", {
        path: folder,
        hint: "Check the network, or leave out --peers.",
      });
  }
  return join(modules, "node-llama-cpp", "dist", "index.js");
}

function versionOf(folder: string): string | undefined {
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest)) return undefined;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version?: string }).version;
}

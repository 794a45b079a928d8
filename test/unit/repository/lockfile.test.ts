import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

interface LockedPackage {
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
}

const root = new URL("../../../", import.meta.url);

function readJson(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(name, root), "utf8")) as Record<string, unknown>;
}

/** Folders that Node searches for a dependency of the package at `folder`, nearest first. */
function searchFolders(folder: string): string[] {
  const folders = [];
  for (
    let at = folder;
    at !== "";
    at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules/") - 1))
  )
    folders.push(`${at}/`);
  return [...folders, ""];
}

describe("package-lock.json", () => {
  const packages = readJson("package-lock.json").packages as Record<string, LockedPackage>;

  // A lock made where some platforms' packages could not be had lacks them, and `npm ci`, the
  // first thing a fresh clone runs, refuses such a lock on every machine.
  it("has an entry for every dependency, also those of other platforms", () => {
    const missing = Object.entries(packages).flatMap(([folder, entry]) =>
      Object.keys({
        ...entry.dependencies,
        ...entry.optionalDependencies,
        ...(folder === "" ? entry.devDependencies : {}),
      })
        .filter(
          (name) => !searchFolders(folder).some((at) => `${at}node_modules/${name}` in packages),
        )
        .map((name) => `${folder} -> ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it("asks for what package.json asks for", () => {
    const { dependencies, devDependencies } = readJson("package.json");
    expect(packages[""]).toMatchObject({ dependencies, devDependencies });
  });
});

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KernelCache } from "../../../runtime/nvrtc/cache.ts";

let directory = "";
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "hydrant-cache-")), "kernels");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const fileOf = (key: string): string => join(directory, `${key}.json`);

describe("the kernel cache", () => {
  it("returns what was stored, also to another instance", () => {
    new KernelCache({ directory }).set("k", { ptx: "µ\n.version", n: [1, 2] });
    expect(new KernelCache({ directory }).get("k")).toEqual({ ptx: "µ\n.version", n: [1, 2] });
    expect(new KernelCache({ directory }).get("other")).toBeUndefined();
  });

  it("takes any damage to an entry for a miss and drops it", () => {
    const cache = new KernelCache({ directory });
    cache.set("k", { ptx: "x".repeat(100) });
    const good = readFileSync(fileOf("k"));
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: good.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, flip) => {
          const bad = Buffer.from(good);
          bad[at] = (bad[at] ?? 0) ^ flip;
          writeFileSync(fileOf("k"), bad);
          expect(cache.get("k")).toBeUndefined();
          expect(existsSync(fileOf("k"))).toBe(false);
        },
      ),
      { seed: 1, numRuns: 60 },
    );
    writeFileSync(fileOf("k"), good);
    truncateSync(fileOf("k"), good.length - 1);
    expect(cache.get("k")).toBeUndefined();
    writeFileSync(fileOf("k"), "");
    expect(cache.get("k")).toBeUndefined();
  });

  it("leaves no partial files behind", () => {
    const cache = new KernelCache({ directory });
    for (let i = 0; i < 5; i++) cache.set(`k${i}`, i);
    expect(readdirSync(directory).sort()).toEqual([0, 1, 2, 3, 4].map((i) => `k${i}.json`));
  });

  it("drops the entries unused for longest when it grows past its bound", () => {
    const cache = new KernelCache({ directory, maxBytes: 5000 });
    const value = "x".repeat(900);
    for (let i = 0; i < 4; i++) {
      cache.set(`k${i}`, value);
      utimesSync(fileOf(`k${i}`), 1000 + i, 1000 + i);
    }
    expect(cache.get("k0")).toBe(value); // A read makes it recent.
    cache.set("k4", value);
    cache.set("k5", value);
    const left = readdirSync(directory);
    expect(left).toContain("k0.json");
    expect(left).toContain("k5.json");
    expect(left).not.toContain("k1.json");
  });

  it("notes a place it cannot write and goes on", () => {
    // A file where the folder should be fails for every user, root included.
    writeFileSync(directory, "");
    const cache = new KernelCache({ directory });
    expect(cache.get("k")).toBeUndefined();
    expect(() => cache.set("k", 1)).not.toThrow();
    expect(cache.problem).toMatch(/EEXIST|ENOTDIR/);
  });

  it("makes keys that differ when any part or the split between parts differs", () => {
    const keys = [["ab", "c"], ["a", "bc"], ["abc"], ["ab", "c", ""], []].map((parts) =>
      KernelCache.key(parts),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });
});

import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OutputFile } from "../../../src/cli/output-file.ts";

describe("a file that long work will fill", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "hydrant-output-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("is refused at once where it cannot be written", async () => {
    for (const path of [join(directory, "missing", "page.html"), directory])
      await expect(OutputFile.open(path)).rejects.toMatchObject({ code: "cli/output-file", path });
  });

  it("keeps what it held until it is written, and then holds that alone", async () => {
    const path = join(directory, "old.html");
    await writeFile(path, "a longer text than the new one");
    const file = await OutputFile.open(path);
    expect(await readFile(path, "utf8")).toMatch(/^a longer/);
    await file.write("new");
    await file.discard();
    expect(await readFile(path, "utf8")).toBe("new");
  });

  it("is as it was found after work that failed", async () => {
    const old = join(directory, "kept.html");
    await writeFile(old, "kept");
    await (await OutputFile.open(old)).discard();
    expect(await readFile(old, "utf8")).toBe("kept");
    const fresh = join(directory, "fresh.html");
    await (await OutputFile.open(fresh)).discard();
    await expect(stat(fresh)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

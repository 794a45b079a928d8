import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { downloadSet, isPublicSet, publicSets } from "../../../bench/prompts/public-sets.ts";

const questions = '{"question_id": 1, "category": "story", "turns": ["Once", "Then"]}\n';
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hydrant-prompts-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs `use` with the address of a server that answers every request with `answer`. */
async function serving<T>(answer: RequestListener, use: (url: string) => Promise<T>): Promise<T> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  try {
    return await use(`http://127.0.0.1:${port}/question.jsonl`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe("public question sets", () => {
  it("are known by name and lie at https addresses", () => {
    expect(isPublicSet("mt-bench")).toBe(true);
    expect(isPublicSet("toString")).toBe(false);
    for (const url of Object.values(publicSets)) expect(url).toMatch(/^https:\/\/.*\.jsonl$/);
  });

  it("are downloaded once and then taken from the cache", async () => {
    let requests = 0;
    const seen: number[] = [];
    await serving(
      (_, response) => {
        requests++;
        response.end(questions);
      },
      async (url) => {
        const options = {
          url,
          folder: join(folder, "new"),
          progress: (done: number) => seen.push(done),
        };
        const file = await downloadSet("mt-bench", options);
        expect(await readFile(file, "utf8")).toBe(questions);
        expect(await downloadSet("mt-bench", options)).toBe(file);
      },
    );
    expect(requests).toBe(1);
    expect(seen.at(-1)).toBe(questions.length);
  });

  const nothingStored = async () => expect(await readdir(folder)).toEqual([]);

  it("tell what the server answered when it has no such file", async () => {
    await serving(
      (_, response) => {
        response.statusCode = 404;
        response.end();
      },
      async (url) => {
        const refused = downloadSet("spec-bench", { url, folder });
        await expect(refused).rejects.toMatchObject({ code: "prompts/download", path: url });
        await expect(refused).rejects.toThrow("status 404");
      },
    );
    await nothingStored();
  });

  it("are not stored when the connection breaks off", async () => {
    await serving(
      (_, response) => {
        response.setHeader("content-length", 2 * questions.length);
        response.write(questions);
        setTimeout(() => response.destroy(), 20);
      },
      async (url) => {
        await expect(downloadSet("mt-bench", { url, folder })).rejects.toMatchObject({
          code: "prompts/download",
        });
      },
    );
    await nothingStored();
  });

  it("are not stored when a page comes in place of questions", async () => {
    await serving(
      (_, response) => response.end("<html>Sign in</html>"),
      async (url) => {
        await expect(downloadSet("mt-bench", { url, folder })).rejects.toMatchObject({
          code: "prompts/question",
          path: `${url}:1`,
        });
      },
    );
    await nothingStored();
  });

  it("say what to do without a network", async () => {
    // A port that nothing listens on any more.
    const url = await serving(
      () => {},
      async (each) => each,
    );
    const refused = downloadSet("mt-bench", { url, folder });
    await expect(refused).rejects.toMatchObject({
      code: "prompts/download",
      hint: expect.stringContaining("--prompts"),
    });
    await expect(refused).rejects.toThrow("ECONNREFUSED");
  });
});

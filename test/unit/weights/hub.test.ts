import { createHash } from "node:crypto";
import { access, lstat, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { hubCacheDir, parseHubId } from "../../../src/weights/hub-cache.ts";
import { type ResolveOptions, resolveModelPath } from "../../../src/weights/hub.ts";
import { commit, HubServer } from "./support/hub-server.ts";
import { failureOf, temporaryDirectory } from "./support/paths.ts";

const root = await temporaryDirectory();
const hub = await HubServer.start();
const weights = new Uint8Array(300_000).map((_, i) => (i * 31) ^ (i >> 7));
let home = "";
let runs = 0;

beforeEach(() => {
  home = join(root, String(runs++));
  hub.files.clear();
  hub.behaviours.clear();
  hub.requests.length = 0;
  hub.repository = { status: 200 };
  hub.files.set("config.json", Buffer.from('{"a":1}'));
  hub.files.set("model.safetensors", weights);
});

const resolve = (
  options: ResolveOptions = {},
  name = "org/name",
  purpose: "model" | "heads" = "model",
) =>
  resolveModelPath(name, purpose, {
    attempts: 1,
    ...options,
    env: { HF_HOME: home, HF_ENDPOINT: hub.url, ...options.env },
  });
const repoDirectory = () => join(home, "hub", "models--org--name");
const blobs = () => readdir(join(repoDirectory(), "blobs"));
const sha256 = createHash("sha256").update(weights).digest("hex");

describe("downloading from the hub", () => {
  it("lays files out as other tools do and then needs no network", async () => {
    hub.files.set("README.md", Buffer.from("not needed"));
    hub.files.set("pytorch_model.bin", Buffer.from("not needed"));
    hub.files.set("tokenizer.json", Buffer.from("{}"));
    const seen: string[] = [];
    const path = await resolve({
      progress: ({ file, done, total }) => seen.push(`${file} ${done}/${total}`),
    });
    expect(path).toBe(join(repoDirectory(), "snapshots", commit));
    expect((await readdir(path)).sort()).toEqual([
      "config.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
    expect((await lstat(join(path, "model.safetensors"))).isSymbolicLink()).toBe(true);
    expect((await readFile(join(path, "model.safetensors"))).equals(weights)).toBe(true);
    expect(await blobs()).toContain(sha256);
    expect(await blobs()).toHaveLength(3);
    expect(await readFile(join(repoDirectory(), "refs", "main"), "utf8")).toBe(commit);
    expect(seen).toContain("model.safetensors 300000/300000");
    const before = hub.requests.length;
    expect(await resolve({ env: { HF_HUB_OFFLINE: "1" } })).toBe(path);
    expect(hub.requests.length).toBe(before);
  });

  it("continues after a cut connection where it stopped, within one call", async () => {
    hub.behave("model.safetensors", { cuts: [100_000, 50_000] });
    const path = await resolve({ attempts: 2 });
    expect((await readFile(join(path, "model.safetensors"))).equals(weights)).toBe(true);
    const ranges = hub.contentRequests("model.safetensors").map(({ range }) => range);
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeUndefined();
    for (const range of ranges.slice(1)) expect(range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it("continues after an interruption in a later call", async () => {
    hub.behave("model.safetensors", { cuts: [120_000] });
    const error = await failureOf(() => resolve());
    expect(error.code).toBe("hub/interrupted");
    expect(error.hint).toContain("continues");
    expect((await blobs()).filter((name) => name.endsWith(".partial"))).toHaveLength(1);
    expect((await failureOf(() => resolve({ env: { HF_HUB_OFFLINE: "yes" } }))).code).toBe(
      "hub/offline",
    );
    const path = await resolve();
    expect((await readFile(join(path, "model.safetensors"))).equals(weights)).toBe(true);
    expect(hub.contentRequests("model.safetensors").at(-1)?.range).toMatch(/^bytes=[1-9]/);
    expect((await blobs()).filter((name) => name.includes("."))).toEqual([]);
  });

  it("stops when it is aborted, with the reason, and continues in a later call", async () => {
    hub.behave("model.safetensors", { cuts: [100_000] });
    const abort = new AbortController();
    const progress: ResolveOptions["progress"] = ({ file, done }) => {
      if (file === "model.safetensors" && done > 0) abort.abort(new Error("enough"));
    };
    const aborted = resolve({ progress, signal: abort.signal, attempts: 5 });
    await expect(aborted).rejects.toThrow("enough");
    const path = await resolve();
    expect((await readFile(join(path, "model.safetensors"))).equals(weights)).toBe(true);
    expect(hub.contentRequests("model.safetensors").at(-1)?.range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it("starts over when the server cannot continue, and gives up when it never finishes", async () => {
    hub.behave("model.safetensors", { cuts: [100_000], ignoreRange: true });
    const path = await resolve({ attempts: 3 });
    expect((await readFile(join(path, "model.safetensors"))).equals(weights)).toBe(true);
    home = join(root, "never");
    hub.behave("model.safetensors", { cuts: Array(50).fill(1000), ignoreRange: true });
    expect((await failureOf(() => resolve({ attempts: 3 }))).code).toBe("hub/interrupted");
  });

  it("refuses content with another hash and keeps none of it", async () => {
    const changed = Uint8Array.from(weights);
    changed[5] = 0xff;
    hub.behave("model.safetensors", { content: changed });
    expect((await failureOf(() => resolve())).code).toBe("hub/wrong-hash");
    expect(await blobs()).toHaveLength(1);
    hub.behaviours.clear();
    hub.behave("config.json", { content: Buffer.from('{"a":2}') });
    home = join(root, "json");
    expect((await failureOf(() => resolve())).code).toBe("hub/wrong-hash");
  });

  it("refuses content of another size", async () => {
    for (const listedSize of [weights.length + 1, weights.length - 1]) {
      hub.behave("model.safetensors", { listedSize });
      const error = await failureOf(() => resolve());
      expect(error.code).toBe("hub/wrong-size");
      expect(error.message).toContain(String(listedSize));
    }
  });

  it("fetches the shards an index names, and torch weights where there are no others", async () => {
    hub.files.delete("model.safetensors");
    const index = { weight_map: { a: "pytorch_model-1.bin", b: "pytorch_model-2.bin" } };
    hub.files.set("pytorch_model.bin.index.json", Buffer.from(JSON.stringify(index)));
    hub.files.set("pytorch_model-1.bin", Buffer.from("one"));
    expect((await failureOf(() => resolve())).code).toBe("hub/no-weights");
    hub.files.set("pytorch_model-2.bin", Buffer.from("two"));
    const path = await resolve();
    expect(await readFile(join(path, "pytorch_model-2.bin"), "utf8")).toBe("two");
  });

  it("fetches only the heads of a heads repository", async () => {
    hub.files.clear();
    hub.files.set("config.json", Buffer.from("{}"));
    hub.files.set("hydra_lm_head.pt", Buffer.from("heads"));
    hub.files.set("optimizer.pt", Buffer.from("not needed"));
    const path = await resolve({}, "org/name@main", "heads");
    expect((await readdir(path)).sort()).toEqual(["config.json", "hydra_lm_head.pt"]);
    expect((await failureOf(() => resolve())).code).toBe("hub/no-weights");
  });

  it("sends the token only where there is one", async () => {
    await resolve({ env: { HF_TOKEN: "hf_secret" } });
    expect(hub.requests.every(({ authorization }) => authorization === "Bearer hf_secret")).toBe(
      true,
    );
    hub.requests.length = 0;
    home = join(root, "without-token");
    await resolve();
    expect(hub.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  const answers: [status: number, errorCode: string | undefined, code: string, hint: string][] = [
    [404, "RepoNotFound", "hub/not-found", "org/name"],
    [404, "RevisionNotFound", "hub/not-found", ""],
    [401, undefined, "hub/unauthorized", "HF_TOKEN"],
    [401, "GatedRepo", "hub/gated", "terms"],
    [403, undefined, "hub/gated", "terms"],
    [503, undefined, "hub/failed", "later"],
  ];
  for (const [status, errorCode, code, hint] of answers) {
    it(`explains status ${status}${errorCode === undefined ? "" : ` ${errorCode}`} of a repository`, async () => {
      hub.repository = { status, ...(errorCode === undefined ? {} : { errorCode }) };
      const error = await failureOf(() => resolve());
      expect(error.code).toBe(code);
      expect(error.hint ?? "").toContain(hint);
    });
  }

  it("explains a file that is listed but refused or missing", async () => {
    for (const [status, code] of [
      [404, "hub/not-found"],
      [403, "hub/gated"],
      [500, "hub/interrupted"],
    ] as const) {
      hub.behave("model.safetensors", { status });
      expect((await failureOf(() => resolve())).code).toBe(code);
    }
  });

  it("says when the hub cannot be reached", async () => {
    const error = await failureOf(() => resolve({ env: { HF_ENDPOINT: "http://127.0.0.1:1" } }));
    expect(error.code).toBe("hub/unreachable");
    expect(error.hint).toContain("HF_ENDPOINT");
  });

  it("lets two callers want the same file at once", async () => {
    const [a, b] = await Promise.all([resolve(), resolve()]);
    expect(a).toBe(b);
    expect((await readFile(join(a, "model.safetensors"))).equals(weights)).toBe(true);
    expect(hub.contentRequests("model.safetensors")).toHaveLength(1);
  });

  it("takes over the lock of a process that died", async () => {
    await mkdir(join(repoDirectory(), "blobs"), { recursive: true });
    // Process ids end below 2^22 on Linux: this one never lived.
    await writeFile(join(repoDirectory(), "blobs", `${sha256}.lock`), `${hostname()} 4194305`);
    await access(join(await resolve(), "model.safetensors"));
  });

  it("ignores listed names that would leave the cache", async () => {
    hub.files.set("../../evil.json", Buffer.from("{}"));
    hub.files.set("sub/other.json", Buffer.from("{}"));
    expect((await readdir(await resolve())).sort()).toEqual(["config.json", "model.safetensors"]);
  });
});

describe("finding a model", () => {
  it("takes a local path as it is", async () => {
    expect(await resolve({}, root)).toBe(root);
    expect(hub.requests).toHaveLength(0);
  });

  it("uses a snapshot that another tool downloaded", async () => {
    const snapshot = join(repoDirectory(), "snapshots", commit);
    await mkdir(snapshot, { recursive: true });
    await mkdir(join(repoDirectory(), "blobs"));
    await mkdir(join(repoDirectory(), "refs"));
    await writeFile(join(repoDirectory(), "refs", "main"), commit);
    for (const name of ["config.json", "model.safetensors"]) {
      await writeFile(join(repoDirectory(), "blobs", name), "{}");
      await symlink(join("..", "..", "blobs", name), join(snapshot, name));
    }
    expect(await resolve({ env: { HF_HUB_OFFLINE: "1" } })).toBe(snapshot);
    expect(await resolve({ env: { HF_HUB_OFFLINE: "1" } }, `org/name@${commit}`)).toBe(snapshot);
    const missing = await failureOf(() =>
      resolve({ env: { HF_HUB_OFFLINE: "1" } }, "org/name@other"),
    );
    expect(missing.hint).toContain("Unset HF_HUB_OFFLINE");
  });

  it("takes any folder a ref names as a snapshot, but none outside the cache", async () => {
    const snapshot = join(repoDirectory(), "snapshots", "v1.0-test");
    await mkdir(snapshot, { recursive: true });
    await mkdir(join(repoDirectory(), "refs"));
    for (const name of ["config.json", "model.safetensors"])
      await writeFile(join(snapshot, name), "{}");
    await writeFile(join(repoDirectory(), "refs", "main"), "v1.0-test\n");
    expect(await resolve({ env: { HF_HUB_OFFLINE: "1" } })).toBe(snapshot);
    await writeFile(join(repoDirectory(), "refs", "main"), "../snapshots/v1.0-test");
    const outside = await failureOf(() => resolve({ env: { HF_HUB_OFFLINE: "1" } }));
    expect(outside.code).toBe("hub/offline");
  });

  it("refuses what is neither a path nor a hub name", async () => {
    for (const name of [
      "./none",
      "/none",
      "a/b/c",
      "none",
      "org/..",
      "../hydrant-none",
      "org/name@../x",
      "",
    ]) {
      expect((await failureOf(() => resolve({}, name))).code).toBe("hub/bad-name");
    }
  });

  it("reads names and revisions", () => {
    expect(parseHubId("lmsys/vicuna-7b-v1.3")).toEqual({
      id: "lmsys/vicuna-7b-v1.3",
      revision: "main",
    });
    expect(parseHubId("a/b@refs/pr/1")).toEqual({ id: "a/b", revision: "refs/pr/1" });
  });

  it("looks for the cache where the environment says", () => {
    expect(hubCacheDir({ HF_HUB_CACHE: "/c", HF_HOME: "/h" })).toBe("/c");
    expect(hubCacheDir({ HUGGINGFACE_HUB_CACHE: "/d", HF_HOME: "/h" })).toBe("/d");
    expect(hubCacheDir({ HF_HOME: "/h" })).toBe("/h/hub");
    expect(hubCacheDir({ XDG_CACHE_HOME: "/x" })).toBe("/x/huggingface/hub");
    expect(hubCacheDir({})).toMatch(/\.cache\/huggingface\/hub$/);
  });
});

import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hydra } from "../helpers/cli.ts";
import { goldenBase, goldenPath } from "../helpers/golden.ts";

const demo = (...parts: string[]) =>
  fileURLToPath(new URL(`../../demo/model/${parts.join("/")}`, import.meta.url));
const base = demo("base");
const prompt = ["--model", base, "--prompt", "Once upon a time"];
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hydrant-cli-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe("hydra generate", () => {
  it("prints exactly one JSON object with --json", async () => {
    const { code, stdout } = await hydra([
      "generate",
      ...prompt,
      "--heads",
      demo("heads/hydra"),
      "--method",
      "hydra",
      "--max-new-tokens",
      "20",
      "--json",
      "--trace",
    ]);
    expect(code).toBe(0);
    expect(stdout.trim().split("\n")).toHaveLength(1);
    const result = JSON.parse(stdout);
    expect(result.tokens).toHaveLength(20);
    expect(result.finishReason).toBe("length");
    expect(result.stats).toMatchObject({ newTokens: 20, method: "hydra", device: "cpu" });
    for (const field of ["steps", "tokensPerStep", "prefillMs", "decodeMs", "tokensPerSecond"]) {
      expect(result.stats[field], field).toBeGreaterThan(0);
    }
    expect(result.trace).toHaveLength(result.stats.steps);
    expect(result.trace[0].tree).toHaveLength(64);
    const committed = result.trace.flatMap((step: { accepted: number[] }) => step.accepted);
    expect(committed.slice(0, 20)).toEqual(result.tokens);
  });

  it("gives the text of plain decoding with any heads, greedy or sampled", async () => {
    const run = async (...flags: string[]) => {
      const { stdout, stderr } = await hydra([
        "generate",
        ...prompt,
        "--max-new-tokens",
        "40",
        "--json",
        ...flags,
      ]);
      expect(stderr).toBe("");
      return JSON.parse(stdout).tokens;
    };
    for (const sampling of [[], ["--temperature", "0.7", "--top-p", "0.9", "--seed", "5"]]) {
      const plain = await run(...sampling);
      for (const heads of ["medusa", "hydra", "hydra-plus-plus"]) {
        expect(
          await run("--heads", demo("heads", heads), "--tree", "mc_sim_7b_63", ...sampling),
          heads,
        ).toEqual(plain);
      }
      expect(await run("--heads", demo("heads/hydra"), ...sampling), "auto").toEqual(plain);
    }
  });

  it("reproduces a golden trace from token ids and a tree file, without a tokenizer", async () => {
    const golden = JSON.parse(await readFile(goldenPath("V1-hydra-mlp", "golden.json"), "utf8"));
    const tree = join(directory, "tree.json");
    await writeFile(tree, JSON.stringify(golden.choices));
    const [run] = golden.runs;
    const { stdout } = await hydra([
      "generate",
      "--model",
      goldenBase("V1-hydra-mlp"),
      "--heads",
      goldenPath("V1-hydra-mlp", "heads"),
      "--prompt-tokens",
      run.prompt.join(","),
      "--max-new-tokens",
      String(run.spec_tokens.length),
      "--tree",
      tree,
      "--ignore-eos",
      "--json",
      "--trace",
    ]);
    const result = JSON.parse(stdout);
    expect(result.tokens).toEqual(run.spec_tokens);
    expect(result.trace).toEqual(
      run.steps.map((step: { tree_tokens: number[]; appended: number[] }) => ({
        tree: step.tree_tokens,
        accepted: step.appended,
      })),
    );
    expect(result.text).toBe("");
  });

  it("streams the text to stdout and the figures to stderr without --json", async () => {
    const { code, stdout, stderr } = await hydra(["generate", ...prompt, "--max-new-tokens", "8"]);
    expect(code).toBe(0);
    expect(stdout.length).toBeGreaterThan(8);
    expect(stderr).toMatch(/8 tokens in 8 steps \(1\.00 per step\).*finished: length/);
  });
});

describe("hydra tokenize", () => {
  it("prints ids and text, with the beginning-of-text token only when asked", async () => {
    const { stdout } = await hydra([
      "tokenize",
      "--model",
      base,
      "--text",
      "Once upon a time",
      "--json",
    ]);
    const { ids, text } = JSON.parse(stdout);
    expect(text).toBe("Once upon a time");
    expect(ids[0]).not.toBe(1);
    const withBos = JSON.parse(
      (await hydra(["tokenize", "--model", base, "--text", "Once upon a time", "--bos", "--json"]))
        .stdout,
    );
    expect(withBos.ids).toEqual([1, ...ids]);
    const decoded = JSON.parse(
      (await hydra(["tokenize", "--model", base, "--decode", ids.join(","), "--json"])).stdout,
    );
    expect(decoded).toEqual({ ids, text: "Once upon a time" });
  });
});

describe("hydra convert", () => {
  it("turns a torch file into safetensors that generate the same", async () => {
    const out = join(directory, "converted");
    const heads = goldenPath("V2-hydra-prefix-mlp", "heads");
    const { code } = await hydra([
      "convert",
      "--heads",
      join(heads, "hydra_lm_head.pt"),
      "--out",
      out,
    ]);
    expect(code).toBe(0);
    const flags = [
      "--prompt-tokens",
      "1,2,3",
      "--max-new-tokens",
      "12",
      "--tree",
      "mc_sim_7b_63",
      "--json",
      "--trace",
    ];
    const run = async (from: string) => {
      const { stdout } = await hydra([
        "generate",
        "--model",
        goldenBase("V2-hydra-prefix-mlp"),
        "--heads",
        from,
        ...flags,
      ]);
      const { tokens, trace } = JSON.parse(stdout);
      return { tokens, trace };
    };
    expect(await run(out)).toEqual(await run(heads));
  });
});

describe("hydra chat", () => {
  it("talks, keeps the conversation, saves and loads it", async () => {
    const file = join(directory, "talk.json");
    const flags = ["chat", "--model", base, "--max-new-tokens", "6"];
    const first = await hydra(flags, { input: `Hello there\n!!save ${file}\n!!exit\n` });
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/tokens per step/);
    const saved = JSON.parse(await readFile(file, "utf8"));
    expect(saved.messages.map(({ role }: { role: string }) => role)).toEqual(["user", "assistant"]);
    const second = await hydra(flags, {
      input: `!!load ${file}\n!!regen\n!!remove\n!!remove\n!!what\n!!load nowhere\n\n`,
    });
    expect(second.code).toBe(0);
    expect(second.stderr).toContain("Hello there");
    expect(second.stderr).toContain("There is nothing to remove");
    expect(second.stderr).toContain("There is no command !!what");
    expect(second.stderr).toContain("nowhere");
  });
});

describe("bad input", () => {
  const failing = async (args: string[]) => {
    const result = await hydra(args);
    expect(result.stdout).toBe("");
    expect(result.stderr.trim().split("\n"), result.stderr).toHaveLength(1);
    expect(result.stderr).not.toMatch(/\n\s+at |unexpected/);
    return { code: result.code, message: result.stderr.trim() };
  };
  const generate = (...flags: string[]) => failing(["generate", "--model", base, ...flags]);

  it("ends without a word when nobody reads on", async () => {
    const args = ["generate", ...prompt, "--max-new-tokens", "1000", "--ignore-eos"];
    const { code, stderr } = await hydra(args, { readBytes: 10 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it("tells its version", async () => {
    const { code, stdout } = await hydra(["--version"]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  it("exits with 2 for wrong usage", async () => {
    for (const args of [
      ["generate"],
      ["generate", "--model", base],
      ["nonsense"],
      ["generate", ...prompt, "--max-new-tokens", "many"],
      ["generate", ...prompt, "--wat"],
      ["generate", ...prompt, "--prompt-tokens", "1"],
    ]) {
      const { code, stderr } = await hydra(args);
      expect({ args, code }).toEqual({ args, code: 2 });
      expect(stderr).toMatch(/error:/);
    }
  });

  it("names an empty prompt, ids out of range and a prompt longer than the context", async () => {
    expect(await generate("--prompt-tokens", "")).toMatchObject({
      code: 1,
      message: expect.stringContaining("prompt is empty"),
    });
    expect(await generate("--prompt", "")).toMatchObject({
      code: 1,
      message: expect.stringContaining("prompt is empty"),
    });
    expect(await generate("--prompt-tokens", "1,99999")).toMatchObject({
      code: 1,
      message: expect.stringContaining("99999"),
    });
    const long = Array.from({ length: 1025 }, () => 5).join(",");
    expect(await generate("--prompt-tokens", long)).toMatchObject({
      code: 1,
      message: expect.stringMatching(/1025 tokens.*1024/),
    });
  });

  it("names an unknown tree, a tree deeper than the heads, bad JSON, an unknown device and method", async () => {
    const heads = ["--heads", demo("heads/hydra"), "--prompt", "x"];
    expect(await generate(...heads, "--tree", "oak")).toMatchObject({
      code: 1,
      message: expect.stringContaining("mc_sim_7b_63"),
    });
    expect(await generate(...heads, "--tree", "chain-5")).toMatchObject({
      code: 1,
      message: expect.stringMatching(/5 deep.*4 draft heads/),
    });
    const bad = join(directory, "bad.json");
    await writeFile(bad, "[[0], [0,");
    expect(await generate(...heads, "--tree", bad)).toMatchObject({
      code: 1,
      message: expect.stringContaining("bad.json"),
    });
    const deep = join(directory, "deep.json");
    await writeFile(deep, "[[0], [0,0], [0,0,0], [0,0,0,0], [0,0,0,0,0]]");
    expect(await generate(...heads, "--tree", deep)).toMatchObject({
      code: 1,
      message: expect.stringMatching(/"deep".*5 deep/),
    });
    const wide = join(directory, "wide.json");
    await writeFile(wide, "[[9999]]");
    expect(await generate(...heads, "--tree", wide)).toMatchObject({
      code: 1,
      message: expect.stringMatching(/"wide".*2048 tokens/),
    });
    expect(await generate("--prompt", "x", "--device", "tpu")).toMatchObject({
      code: 1,
      message: expect.stringContaining('"tpu"'),
    });
    expect(await generate("--prompt", "x", "--method", "medusa")).toMatchObject({
      code: 1,
      message: expect.stringContaining("no heads are loaded"),
    });
  });

  it("names the file and tensor of broken, missing, misshapen and NaN weights", async () => {
    const broken = async (change: (dir: string) => Promise<void>) => {
      const dir = await mkdtemp(join(directory, "model-"));
      await cp(goldenBase("V1-hydra-mlp"), dir, { recursive: true });
      await change(dir);
      return failing(["generate", "--model", dir, "--prompt-tokens", "1,2"]);
    };
    const weights = await readFile(join(goldenBase("V1-hydra-mlp"), "model.safetensors"));
    const truncated = await broken((dir) =>
      writeFile(join(dir, "model.safetensors"), weights.subarray(0, 5000)),
    );
    expect(truncated).toMatchObject({
      code: 1,
      message: expect.stringContaining("model.safetensors"),
    });
    const missing = await broken((dir) => rm(join(dir, "model.safetensors")));
    expect(missing).toMatchObject({
      code: 1,
      message: expect.stringContaining("no model weights"),
    });
    const wrongShape = await broken(async (dir) => {
      const config = JSON.parse(await readFile(join(dir, "config.json"), "utf8"));
      await writeFile(
        join(dir, "config.json"),
        JSON.stringify({ ...config, intermediate_size: 96 }),
      );
    });
    expect(wrongShape).toMatchObject({ code: 1, message: expect.stringMatching(/gate_proj/) });
    const nan = await broken((dir) => {
      const changed = Buffer.from(weights);
      changed.writeUInt32LE(0x7fc00000, changed.length - 40);
      return writeFile(join(dir, "model.safetensors"), changed);
    });
    expect(nan).toMatchObject({
      code: 1,
      message: expect.stringMatching(/model\.safetensors: .*weight: .*NaN/),
    });
    const noConfig = await broken((dir) => rm(join(dir, "config.json")));
    expect(noConfig).toMatchObject({ code: 1, message: expect.stringContaining("config.json") });
    const badConfig = await broken((dir) => writeFile(join(dir, "config.json"), "{"));
    expect(badConfig).toMatchObject({
      code: 1,
      message: expect.stringContaining("not valid JSON"),
    });
  });

  it("refuses a pickle that names os.system, without running it", async () => {
    const dir = join(directory, "hostile");
    await mkdir(dir, { recursive: true });
    await copyFile(
      join(goldenPath("V2-hydra-prefix-mlp", "heads"), "config.json"),
      join(dir, "config.json"),
    );
    const marker = join(directory, "owned");
    const pickle = Buffer.from(
      `\x80\x02cos\nsystem\nX${"\0\0\0\0"}touch ${marker}\x85R.`,
      "latin1",
    );
    pickle.writeUInt32LE(`touch ${marker}`.length, pickle.indexOf("X") + 1);
    await writeFile(join(dir, "hydra_lm_head.pt"), storedZip("archive/data.pkl", pickle));
    const result = await failing([
      "generate",
      "--model",
      goldenBase("V2-hydra-prefix-mlp"),
      "--heads",
      dir,
      "--prompt-tokens",
      "1",
    ]);
    expect(result.code).toBe(1);
    expect(result.message).toMatch(/os\.system|os system/);
    await expect(readFile(marker)).rejects.toThrow();
  });
});

/** A zip archive with one stored entry. */
function storedZip(name: string, data: Buffer): Buffer {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  const fields = Buffer.alloc(12);
  fields.writeInt32LE(~crc, 0);
  fields.writeUInt32LE(data.length, 4);
  fields.writeUInt32LE(data.length, 8);
  const nameBytes = Buffer.from(name);
  const local = Buffer.concat([
    Buffer.from("PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", "latin1"),
    fields,
    Buffer.from([nameBytes.length, 0, 0, 0]),
    nameBytes,
    data,
  ]);
  const central = Buffer.concat([
    Buffer.from("PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0", "latin1"),
    fields,
    Buffer.from([nameBytes.length, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    nameBytes,
  ]);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

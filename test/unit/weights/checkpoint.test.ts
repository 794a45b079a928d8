import { copyFile, mkdir, mkdtemp, readdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { bindTensors } from "../../../src/weights/bind.ts";
import { openCheckpoint, openHeads } from "../../../src/weights/checkpoint.ts";
import { convertCheckpoint } from "../../../src/weights/convert.ts";
import { demoModel, failureOf, golden, temporaryDirectory } from "./support/paths.ts";
import { entry, safetensors } from "./support/safetensors-files.ts";
import { floats, stateDict, torchZip } from "./support/torch-files.ts";

const root = await temporaryDirectory();
let count = 0;
let directory = "";
beforeEach(async () => {
  directory = join(root, String(count++));
  await mkdir(directory);
});

const put = (name: string, content: Uint8Array | string | object): Promise<void> => {
  const plain = typeof content === "string" || content instanceof Uint8Array;
  return writeFile(join(directory, name), plain ? content : JSON.stringify(content));
};
const byte = (name: string, value: number): Uint8Array =>
  safetensors({ [name]: entry("U8", [1], 0, 1) }, Uint8Array.of(value));
const torchFile = (name: string, ...values: number[]): Uint8Array =>
  torchZip(
    stateDict({ [name]: { key: "0", count: values.length, shape: [values.length], strides: [1] } }),
    {
      0: floats(...values),
    },
  );

describe("opening a model directory", () => {
  it("joins the shards of an index into one set of tensors", async () => {
    await put("x-1.safetensors", byte("a", 1));
    await put(
      "x-2.safetensors",
      safetensors(
        { b: entry("U8", [1], 0, 1), extra: entry("U8", [1], 1, 2) },
        Uint8Array.of(2, 3),
      ),
    );
    await put("model.safetensors.index.json", {
      metadata: { total_size: 99 },
      weight_map: { a: "x-1.safetensors", b: "x-2.safetensors" },
    });
    const file = await openCheckpoint(directory);
    expect([...file.tensors.keys()].sort()).toEqual(["a", "b"]);
    const into = new Uint8Array(1);
    await file.read("b", into);
    expect(into[0]).toBe(2);
    expect(file.tensors.get("b")?.file).toBe(join(directory, "x-2.safetensors"));
    await file.close();
  });

  it("joins torch shards too", async () => {
    await put("pytorch_model-00001-of-00002.bin", torchFile("a", 1, 2));
    await put("pytorch_model-00002-of-00002.bin", torchFile("b", 3));
    await put("pytorch_model.bin.index.json", {
      weight_map: { a: "pytorch_model-00001-of-00002.bin", b: "pytorch_model-00002-of-00002.bin" },
    });
    const file = await openCheckpoint(directory);
    const into = new Float32Array(1);
    await file.read("b", new Uint8Array(into.buffer));
    expect(into[0]).toBe(3);
    await file.close();
  });

  it("takes safetensors before torch", async () => {
    await put("model.safetensors", byte("new", 1));
    await put("pytorch_model.bin", torchFile("old", 1));
    const file = await openCheckpoint(directory);
    expect([...file.tensors.keys()]).toEqual(["new"]);
    await file.close();
  });

  it("names the shards that are missing", async () => {
    await put("x-1.safetensors", byte("a", 1));
    await put("model.safetensors.index.json", {
      weight_map: { a: "x-1.safetensors", b: "x-2.safetensors" },
    });
    const error = await failureOf(() => openCheckpoint(directory));
    expect(error.code).toBe("checkpoint/missing-shard");
    expect(error.message).toContain("1 of 2 weight files are missing: x-2.safetensors");
  });

  it("names a tensor that its shard lacks", async () => {
    await put("x-1.safetensors", byte("a", 1));
    await put("model.safetensors.index.json", {
      weight_map: { a: "x-1.safetensors", b: "x-1.safetensors" },
    });
    const error = await failureOf(() => openCheckpoint(directory));
    expect(error.code).toBe("checkpoint/missing-tensor");
    expect(error.path).toBe(`${join(directory, "x-1.safetensors")}: b`);
  });

  it("refuses shards outside its directory", async () => {
    for (const name of ["../x", "/etc/passwd", "a/b", "..", "c:x", "a\\b", "", 7]) {
      await put("model.safetensors.index.json", { weight_map: { a: name } });
      expect((await failureOf(() => openCheckpoint(directory))).code).toBe("checkpoint/bad-index");
    }
  });

  it("refuses an index that is no index", async () => {
    for (const [content, code] of [
      ["{", "config/bad-json"],
      ["[]", "config/bad-field"],
      ["{}", "checkpoint/bad-index"],
      ['{"weight_map":{}}', "checkpoint/bad-index"],
    ] as const) {
      await put("model.safetensors.index.json", content);
      expect((await failureOf(() => openCheckpoint(directory))).code).toBe(code);
    }
  });

  it("says what it looked for in an empty directory, and that a missing one is missing", async () => {
    const error = await failureOf(() => openCheckpoint(directory));
    expect(error.code).toBe("checkpoint/no-weights");
    expect(error.hint).toContain("pytorch_model.bin.index.json");
    expect((await failureOf(() => openCheckpoint(join(directory, "none")))).code).toBe(
      "checkpoint/not-found",
    );
  });
});

describe("opening draft heads", () => {
  it("finds Hydra and Medusa heads with their settings", async () => {
    const hydra = await openHeads(join(demoModel, "heads/hydra-plus-plus"));
    expect(hydra.kind).toBe("hydra");
    expect(hydra.config).toMatchObject({ hydra_head_arch: "prefix-mlp" });
    expect(hydra.weights.tensors.has("hydra_mlp.3.7.linear.weight")).toBe(true);
    await hydra.weights.close();
    const medusa = await openHeads(join(demoModel, "heads/medusa/medusa_lm_head.safetensors"));
    expect(medusa.kind).toBe("medusa");
    await medusa.weights.close();
  });

  it("takes the safetensors form where both are present, the torch form where it is alone", async () => {
    const heads = await mkdtemp(join(directory, "both-"));
    for (const file of ["heads/config.json", "heads/hydra_lm_head.safetensors"]) {
      await copyFile(join(golden, "V1-hydra-mlp", file), join(heads, basename(file)));
    }
    await writeFile(join(heads, "hydra_lm_head.pt"), "not read");
    const both = await openHeads(heads);
    expect(both.weights.file).toMatch(/\.safetensors$/);
    await both.weights.close();
    const torch = await openHeads(join(golden, "V2-hydra-prefix-mlp/heads"));
    expect(torch.weights.file).toMatch(/\.pt$/);
    await torch.weights.close();
  });

  it("finds Medusa heads inside a full model", async () => {
    await put("config.json", { medusa_num_heads: 1 });
    await put(
      "model.safetensors",
      safetensors(
        {
          "medusa_head.0.0.linear.weight": entry("U8", [1], 0, 1),
          "lm_head.weight": entry("U8", [1], 1, 2),
        },
        Uint8Array.of(5, 6),
      ),
    );
    const heads = await openHeads(directory);
    expect(heads.kind).toBe("medusa");
    expect([...heads.weights.tensors.keys()]).toEqual(["0.0.linear.weight"]);
    const into = new Uint8Array(1);
    await heads.weights.read("0.0.linear.weight", into);
    expect(into[0]).toBe(5);
    await heads.weights.close();
  });

  it("refuses two kinds at once, a base model without heads, and heads without settings", async () => {
    await put("hydra_lm_head.safetensors", byte("hydra_mlp.0.0.linear.weight", 1));
    expect((await failureOf(() => openHeads(directory))).path).toBe(join(directory, "config.json"));
    await put("config.json", {});
    await put("medusa_lm_head.safetensors", byte("0.0.linear.weight", 1));
    expect((await failureOf(() => openHeads(directory))).code).toBe("checkpoint/ambiguous-heads");
    expect((await failureOf(() => openHeads(join(demoModel, "base")))).code).toBe(
      "checkpoint/no-heads",
    );
  });
});

describe("binding weights to a model", () => {
  const open = async () => {
    await put(
      "model.safetensors",
      safetensors(
        {
          "embed.weight": entry("BF16", [4, 2], 0, 16),
          bias: entry("F32", [1], 16, 20),
          position_ids: entry("I64", [1], 20, 28),
          "rotary_emb.inv_freq": entry("F32", [1], 28, 32),
        },
        new Uint8Array(32),
      ),
    );
    return openCheckpoint(directory);
  };

  it("maps each expected tensor to the stored one, through an alias where it is absent", async () => {
    const file = await open();
    const bound = bindTensors(
      [
        { name: "embed.weight", shape: [4, 2] },
        { name: "lm_head.weight", shape: [4, 2] },
        { name: "bias", shape: [1] },
      ],
      file,
      { ignore: [/inv_freq$/, /^position_ids$/], aliases: { "lm_head.weight": "embed.weight" } },
    );
    expect(bound.get("lm_head.weight")?.name).toBe("embed.weight");
    expect(bound.get("bias")?.dtype).toBe("f32");
    await file.close();
  });

  it("reports everything that does not fit in one bounded line", async () => {
    const file = await open();
    const expected = [
      { name: "embed.weight", shape: [2, 4] },
      { name: "position_ids", shape: [1] },
      ...Array.from({ length: 100 }, (_, i) => ({ name: `layers.${i}.weight`, shape: [1] })),
    ];
    const error = await failureOf(() => bindTensors(expected, file));
    expect(error.code).toBe("checkpoint/mismatch");
    expect(error.message).toContain("100 missing (layers.0.weight, layers.1.weight");
    expect(error.message).toContain("and 95 more");
    expect(error.message).toContain("2 unexpected (bias, rotary_emb.inv_freq)");
    expect(error.message).toContain("embed.weight is [4, 2] instead of [2, 4]");
    expect(error.message).toContain("position_ids is i64");
    expect(error.oneLine.length).toBeLessThan(800);
    await file.close();
  });
});

describe("converting torch weights", () => {
  it("writes a directory's model and heads as safetensors, with the files beside", async () => {
    await put("pytorch_model-1.bin", torchFile("a", 1, 2));
    await put("pytorch_model-2.bin", torchFile("b", 3));
    await put("pytorch_model.bin.index.json", {
      weight_map: { a: "pytorch_model-1.bin", b: "pytorch_model-2.bin" },
    });
    await copyFile(
      join(golden, "V2-hydra-prefix-mlp/heads/hydra_lm_head.pt"),
      join(directory, "hydra_lm_head.pt"),
    );
    await put("config.json", { hydra_num_heads: 4 });
    const out = join(directory, "out");
    const seen: number[] = [];
    const converted = await convertCheckpoint(directory, out, {
      progress: ({ done, total }) => seen.push(done / total),
    });
    expect(converted.map(({ tensors }) => tensors)).toEqual([2, 61]);
    expect(seen.at(-1)).toBe(1);
    expect((await readdir(out)).sort()).toEqual([
      "config.json",
      "hydra_lm_head.safetensors",
      "model.safetensors",
    ]);
    const model = await openCheckpoint(out);
    const into = new Float32Array(2);
    await model.read("a", new Uint8Array(into.buffer));
    expect([...into]).toEqual([1, 2]);
    await model.close();
    expect((await failureOf(() => convertCheckpoint(directory, out))).code).toBe("convert/exists");
    expect((await failureOf(() => convertCheckpoint(out, directory))).code).toBe(
      "convert/nothing-to-do",
    );
  });

  it("writes shared storages under every name, equal to the torch file", async () => {
    const heads = join(golden, "V2-hydra-prefix-mlp/heads/hydra_lm_head.pt");
    const [converted] = await convertCheckpoint(heads, await mkdtemp(join(directory, "out-")));
    const ours = await openCheckpoint(converted?.file ?? "");
    const torch = await openCheckpoint(heads);
    expect([...ours.tensors.keys()].sort()).toEqual([...torch.tensors.keys()].sort());
    for (const { name, byteLength } of torch.tensors.values()) {
      const [x, y] = [Buffer.alloc(byteLength), Buffer.alloc(byteLength)];
      await ours.read(name, x);
      await torch.read(name, y);
      expect(x.equals(y), name).toBe(true);
    }
    await ours.close();
    await torch.close();
  });
});

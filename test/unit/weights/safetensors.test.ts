import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HydrantError } from "../../../src/util/errors.ts";
import { openSafetensors } from "../../../src/weights/safetensors.ts";
import { writeSafetensors } from "../../../src/weights/safetensors-writer.ts";
import { storedDTypes, storedSize } from "../../../src/weights/stored-dtype.ts";
import { failureOf, golden, temporaryDirectory, writeTemporary } from "./support/paths.ts";
import { entry, safetensors } from "./support/safetensors-files.ts";

const directory = await temporaryDirectory();

async function open(bytes: Uint8Array) {
  return openSafetensors(await writeTemporary(directory, bytes, ".safetensors"));
}

async function codeOf(bytes: Uint8Array): Promise<string> {
  return (await failureOf(() => open(bytes))).code;
}

describe("opening a safetensors file", () => {
  it("reads names, shapes, metadata and data", async () => {
    const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
    const header = {
      __metadata__: { format: "pt" },
      b: { ...entry("F16", [2, 2], 0, 8), extra: { nested: [1, null, "x"] } },
      c: entry("U8", [], 8, 9),
      empty: entry("F64", [3, 0], 9, 9),
    };
    const file = await open(safetensors(header, data));
    expect([...file.tensors.keys()]).toEqual(["b", "c", "empty"]);
    expect(file.tensors.get("b")).toMatchObject({ dtype: "f16", shape: [2, 2], byteLength: 8 });
    expect(file.metadata.get("format")).toBe("pt");
    const into = new Uint8Array(new SharedArrayBuffer(4));
    await file.read("b", into, 2);
    expect([...into]).toEqual([3, 4, 5, 6]);
    await file.read("empty", new Uint8Array(0));
    await file.close();
  });

  it("accepts white space around the header and an unaligned data area", async () => {
    const file = await open(
      safetensors(` \n{"a":${JSON.stringify(entry("F32", [1], 0, 4))}} \t `, new Uint8Array(4)),
    );
    expect(file.tensors.size).toBe(1);
    await file.close();
  });

  it("names file and tensor in its errors", async () => {
    const path = await writeTemporary(
      directory,
      safetensors({ "a.weight": entry("F31", [1], 0, 4) }, new Uint8Array(4)),
    );
    const error = await failureOf(() => openSafetensors(path));
    expect(error.code).toBe("safetensors/unknown-dtype");
    expect(error.path).toBe(`${path}: a.weight`);
    expect(error.message).toContain("F31");
  });

  it.each([
    ["shape", '{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}'],
    ["shape", '{"dtype":"F32","shape":"1","data_offsets":[0,4]}'],
    ["offset", '{"dtype":"F32","shape":[1],"data_offsets":[0,1e999]}'],
    ["dtype", '{"dtype":7,"shape":[1],"data_offsets":[0,4]}'],
  ])("names the tensor whose %s is no such thing", async (_, json) => {
    const path = await writeTemporary(
      directory,
      safetensors(`{"a.weight":${json}}`, new Uint8Array(4)),
    );
    expect(await failureOf(() => openSafetensors(path))).toMatchObject({
      code: "safetensors/bad-header",
      path: `${path}: a.weight`,
    });
  });

  it("says when a name is asked for that it does not have", async () => {
    const file = await open(safetensors({}));
    expect((await failureOf(() => file.read("a", new Uint8Array(1)))).code).toBe(
      "checkpoint/unknown-tensor",
    );
    await file.close();
  });

  const eight = new Uint8Array(8);
  const a = JSON.stringify(entry("F32", [1], 0, 4));
  const cases: [rule: string, code: string, bytes: Uint8Array][] = [
    ["a file shorter than its prefix", "truncated", Uint8Array.of(1, 2, 3)],
    [
      "a header whose length runs past the file",
      "truncated",
      Buffer.concat([Buffer.from([200, 0, 0, 0, 0, 0, 0, 0]), eight]),
    ],
    [
      "a header longer than the format allows",
      "header-too-long",
      Buffer.concat([Buffer.from([1, 0, 0, 0, 1, 0, 0, 0]), eight]),
    ],
    ["a header length beyond 2^53", "header-too-long", Buffer.alloc(16, 0xff)],
    ["a header that is not UTF-8", "bad-header", safetensors("{}").fill(0xff, 9, 10)],
    ["a header that is no object", "bad-header", safetensors("[]")],
    ["an unfinished header", "bad-header", safetensors('{"a":')],
    ["text behind the header", "bad-header", safetensors("{} x")],
    [
      "a tensor named twice",
      "duplicate-name",
      safetensors(`{"a":${a},"a":${a}}`, eight.subarray(4)),
    ],
    [
      "a tensor named twice, once escaped",
      "duplicate-name",
      safetensors(`{"a":${a},"\\u0061":${a}}`, eight.subarray(4)),
    ],
    [
      "metadata given twice",
      "duplicate-name",
      safetensors('{"__metadata__":{},"__metadata__":{}}'),
    ],
    ["metadata that is no text", "bad-header", safetensors('{"__metadata__":{"a":1}}')],
    ["a field given twice", "duplicate-name", safetensors('{"a":{"dtype":"F32","dtype":"F32"}}')],
    ["a missing field", "missing-field", safetensors({ a: { dtype: "F32", shape: [1] } }, eight)],
    [
      "a lower-case dtype",
      "unknown-dtype",
      safetensors({ a: entry("f32", [1], 0, 4) }, eight.subarray(4)),
    ],
    [
      "a negative extent",
      "bad-header",
      safetensors({ a: entry("F32", [-1], 0, 4) }, eight.subarray(4)),
    ],
    [
      "a fractional extent",
      "bad-header",
      safetensors('{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', eight.subarray(4)),
    ],
    [
      "an extent with an exponent",
      "bad-header",
      safetensors('{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}', eight.subarray(4)),
    ],
    [
      "an extent beyond 2^53",
      "bad-header",
      safetensors(
        '{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}',
        eight.subarray(4),
      ),
    ],
    [
      "a shape whose size overflows",
      "size-mismatch",
      safetensors({ a: entry("F32", [2 ** 40, 2 ** 40], 0, 4) }, eight.subarray(4)),
    ],
    [
      "a shape that does not fill its bytes",
      "size-mismatch",
      safetensors({ a: entry("F32", [1], 0, 8) }, eight),
    ],
    [
      "offsets in descending order",
      "bad-offsets",
      safetensors({ a: entry("F32", [1], 4, 0) }, eight),
    ],
    [
      "three offsets",
      "bad-offsets",
      safetensors({ a: { dtype: "F32", shape: [1], data_offsets: [0, 4, 8] } }, eight),
    ],
    [
      "a gap before the first tensor",
      "bad-offsets",
      safetensors({ a: entry("F32", [1], 4, 8) }, eight),
    ],
    [
      "a gap between tensors",
      "bad-offsets",
      safetensors({ a: entry("U8", [1], 0, 1), b: entry("U8", [1], 2, 3) }, eight.subarray(5)),
    ],
    [
      "overlapping tensors",
      "bad-offsets",
      safetensors({ a: entry("F32", [1], 0, 4), b: entry("F32", [1], 2, 6) }, eight.subarray(2)),
    ],
    ["data cut off", "truncated", safetensors({ a: entry("F32", [2], 0, 8) }, eight.subarray(1))],
    ["bytes behind the data", "trailing-data", safetensors({ a: entry("F32", [1], 0, 4) }, eight)],
    ["values nested without end", "bad-header", safetensors(`{"a":{"x":${"[".repeat(100_000)}`)],
    [
      "a Git LFS pointer",
      "not-safetensors",
      Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"),
    ],
    ["a web page", "not-safetensors", Buffer.from("<!DOCTYPE html><html></html>")],
  ];
  for (const [rule, code, bytes] of cases) {
    it(`refuses ${rule}`, async () => {
      expect(await codeOf(bytes)).toBe(`safetensors/${code}`);
    });
  }

  it("says that a missing file is missing", async () => {
    expect((await failureOf(() => openSafetensors(join(directory, "none")))).code).toBe(
      "checkpoint/not-found",
    );
    expect((await failureOf(() => openSafetensors(directory))).code).toBe("checkpoint/unreadable");
  });

  it("survives any change to a real header with a HydrantError or a valid file", async () => {
    const original = await readFile(join(golden, "V1-hydra-mlp/heads/hydra_lm_head.safetensors"));
    const headerLength = 8 + Number(original.readBigUInt64LE(0));
    const path = join(directory, "mutated.safetensors");
    const change = fc.record({ at: fc.nat(headerLength - 1), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.nat(3),
        async (changes, cut) => {
          const mutated = Buffer.from(original);
          for (const { at, byte } of changes) mutated[at] = byte;
          await writeFile(path, cut === 0 ? mutated.subarray(0, mutated.length - 1) : mutated);
          try {
            await (await openSafetensors(path)).close();
          } catch (error) {
            expect(error).toBeInstanceOf(HydrantError);
          }
        },
      ),
      { numRuns: 200, seed: 7 },
    );
  });
});

describe("writing a safetensors file", () => {
  it("round-trips any tensors, ordered by dtype rank then name, data aligned", async () => {
    const tensor = fc.record({
      name: fc.string({ unit: "grapheme" }).filter((name) => name !== "__metadata__"),
      dtype: fc.constantFrom(...storedDTypes),
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
      fill: fc.nat(255),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(tensor, { maxLength: 8, selector: ({ name }) => name }),
        async (tensors) => {
          const path = join(directory, `written-${run++}.safetensors`);
          const sources = tensors.map(({ name, dtype, shape, fill }) => ({
            name,
            dtype,
            shape,
            read: async (into: Uint8Array) => void into.fill(fill),
          }));
          await writeSafetensors(path, sources, { format: "pt" });
          const file = await openSafetensors(path);
          expect(file.tensors.size).toBe(tensors.length);
          expect(file.metadata.get("format")).toBe("pt");
          for (const { name, dtype, shape, fill } of tensors) {
            const info = file.tensors.get(name);
            expect(info).toMatchObject({ dtype, shape });
            const into = new Uint8Array(info?.byteLength ?? 0);
            await file.read(name, into);
            expect(into.every((byte) => byte === fill)).toBe(true);
          }
          await file.close();
          const bytes = await readFile(path);
          expect(bytes.readBigUInt64LE(0) % 8n).toBe(0n);
          const header = JSON.parse(
            bytes.toString("utf8", 8, 8 + Number(bytes.readBigUInt64LE(0))),
          );
          const sizes = Object.keys(header)
            .filter((name) => name !== "__metadata__")
            .map((name) => storedSize(tensors.find((t) => t.name === name)?.dtype ?? "u8"));
          expect(sizes).toEqual([...sizes].sort((x, y) => y - x));
        },
      ),
      { numRuns: 40, seed: 11 },
    );
  });

  it("writes the same bytes as the reference writer", async () => {
    const path = join(golden, "V1-hydra-mlp/heads/hydra_lm_head.safetensors");
    const source = await openSafetensors(path);
    const copy = join(directory, "copy.safetensors");
    const sources = [...source.tensors.values()].map((info) => ({
      ...info,
      read: (into: Uint8Array, offset: number) => source.read(info.name, into, offset),
    }));
    await writeSafetensors(copy, sources, Object.fromEntries(source.metadata));
    await source.close();
    expect((await readFile(copy)).equals(await readFile(path))).toBe(true);
  });

  it("leaves nothing behind when a source fails", async () => {
    const path = join(directory, "never.safetensors");
    const read = () => Promise.reject(new Error("no data"));
    const error = await failureOf(() =>
      writeSafetensors(path, [{ name: "a", dtype: "u8", shape: [1], read }]),
    );
    expect(error.code).toBe("safetensors/unwritable");
    expect((await failureOf(() => openSafetensors(path))).code).toBe("checkpoint/not-found");
  });

  it("refuses a name twice", async () => {
    const tensor = { name: "a", dtype: "u8", shape: [0], read: () => Promise.resolve() } as const;
    const error = await failureOf(() =>
      writeSafetensors(join(directory, "twice"), [tensor, tensor]),
    );
    expect(error.code).toBe("safetensors/bad-name");
  });
});

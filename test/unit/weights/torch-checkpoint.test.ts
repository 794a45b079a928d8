import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HydrantError } from "../../../src/util/errors.ts";
import { openSafetensors } from "../../../src/weights/safetensors.ts";
import type { TensorFile } from "../../../src/weights/tensor-file.ts";
import { openTorchCheckpoint } from "../../../src/weights/torch-checkpoint.ts";
import {
  failureOf,
  golden,
  hasSharedGolden,
  sharedGolden,
  temporaryDirectory,
  writeTemporary,
} from "./support/paths.ts";
import {
  floats,
  pickle,
  stateDict,
  tensorPickle,
  torchLegacy,
  torchZip,
  zip,
} from "./support/torch-files.ts";

const directory = await temporaryDirectory();
const one = { key: "0", count: 6, shape: [2, 3], strides: [3, 1] };
const six = floats(0, 1, 2, 3, 4, 5);

async function open(bytes: Uint8Array): Promise<TensorFile> {
  return openTorchCheckpoint(await writeTemporary(directory, bytes, ".pt"));
}

async function valuesOf(file: TensorFile, name: string): Promise<number[]> {
  const into = new Uint8Array(file.tensors.get(name)?.byteLength ?? 0);
  await file.read(name, into);
  return [...new Float32Array(into.buffer)];
}

async function failure(bytes: Uint8Array): Promise<HydrantError> {
  return failureOf(() => open(bytes));
}

describe("the zip form", () => {
  it("reads contiguous, transposed, offset, expanded and shared tensors as if they stood alone", async () => {
    const object = stateDict({
      plain: one,
      transposed: { ...one, shape: [3, 2], strides: [1, 3] },
      column: { ...one, offset: 2, shape: [2, 1], strides: [3, 3] },
      expanded: { ...one, offset: 4, shape: [2, 2], strides: [0, 1] },
      scalar: { ...one, offset: 5, shape: [], strides: [] },
      none: { ...one, offset: 6, shape: [0, 3], strides: [3, 1] },
    });
    const file = await open(torchZip(object, { 0: six }));
    expect(file.tensors.get("plain")).toMatchObject({
      dtype: "f32",
      shape: [2, 3],
      byteLength: 24,
    });
    expect(await valuesOf(file, "plain")).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await valuesOf(file, "transposed")).toEqual([0, 3, 1, 4, 2, 5]);
    expect(await valuesOf(file, "column")).toEqual([2, 5]);
    expect(await valuesOf(file, "expanded")).toEqual([4, 5, 4, 5]);
    expect(await valuesOf(file, "scalar")).toEqual([5]);
    expect(await valuesOf(file, "none")).toEqual([]);
    await file.close();
  });

  it("reads any strided view like the plain definition, whole and in pieces", async () => {
    const axis = fc.record({ extent: fc.integer({ min: 1, max: 4 }), stride: fc.nat(7) });
    const path = join(directory, "strided.pt");
    await fc.assert(
      fc.asyncProperty(
        fc.array(axis, { maxLength: 4 }),
        fc.nat(5),
        fc.nat(),
        async (axes, offset, at) => {
          const shape = axes.map(({ extent }) => extent);
          const strides = axes.map(({ stride }) => stride);
          const count =
            offset + axes.reduce((sum, { extent, stride }) => sum + (extent - 1) * stride, 0) + 1;
          const storage = floats(...Array.from({ length: count }, (_, i) => i));
          await writeFile(
            path,
            torchZip(stateDict({ t: { key: "0", count, offset, shape, strides } }), { 0: storage }),
          );
          let expected = [offset];
          for (const { extent, stride } of axes) {
            expected = expected.flatMap((base) =>
              Array.from({ length: extent }, (_, i) => base + i * stride),
            );
          }
          const file = await openTorchCheckpoint(path);
          expect(await valuesOf(file, "t")).toEqual(expected);
          const first = at % expected.length;
          const piece = new Uint8Array(4 * Math.min(3, expected.length - first));
          await file.read("t", piece, 4 * first);
          expect([...new Float32Array(piece.buffer)]).toEqual(expected.slice(first, first + 3));
          await file.close();
        },
      ),
      { numRuns: 120, seed: 3 },
    );
  });

  it("accepts the _metadata of a module's state dict, parameters, and nested checkpoints", async () => {
    const parameter = pickle.bytes(
      pickle.global("torch._utils", "_rebuild_parameter"),
      pickle.tuple(tensorPickle(one), pickle.bytes(0x88), pickle.orderedDict()),
      "R",
    );
    const state = pickle.bytes(
      pickle.orderedDict(pickle.text("w"), parameter),
      "}",
      pickle.text("_metadata"),
      pickle.orderedDict(),
      "sb",
    );
    for (const key of ["state_dict", "model"]) {
      const nested = pickle.bytes(
        "}(",
        pickle.text("epoch"),
        pickle.int(3),
        pickle.text(key),
        state,
        "u",
      );
      const file = await open(torchZip(nested, { 0: six }));
      expect([...file.tensors.keys()]).toEqual(["w"]);
      await file.close();
    }
  });

  it("keeps the later of two tensors of one name", async () => {
    const twice = pickle.orderedDict(
      pickle.text("w"),
      tensorPickle(one),
      pickle.text("w"),
      tensorPickle({ ...one, offset: 3, shape: [3], strides: [1] }),
    );
    const file = await open(torchZip(twice, { 0: six }));
    expect(await valuesOf(file, "w")).toEqual([3, 4, 5]);
    await file.close();
  });

  it("reads zip64 archives and big-endian data", async () => {
    const big = Buffer.from(six).swap32();
    const bytes = torchZip(
      stateDict({ w: one }),
      { 0: big },
      { byteorder: Buffer.from("big") },
      { zip64: true },
    );
    const file = await open(bytes);
    expect(await valuesOf(file, "w")).toEqual([0, 1, 2, 3, 4, 5]);
    await file.close();
  });

  it("names the tensor whose description is not valid", async () => {
    const path = await writeTemporary(
      directory,
      torchZip(stateDict({ fine: one, "a.weight": { ...one, offset: 1 } }), { 0: six }),
    );
    expect((await failureOf(() => openTorchCheckpoint(path))).path).toBe(`${path}: a.weight`);
  });

  const refused: [what: string, code: string, bytes: Uint8Array][] = [
    [
      "a tensor that reaches past its storage",
      "pickle/malformed",
      torchZip(stateDict({ w: { ...one, offset: 1 } }), { 0: six }),
    ],
    [
      "a storage of another size than described",
      "checkpoint/bad-storage",
      torchZip(stateDict({ w: one }), { 0: six.subarray(4) }),
    ],
    ["a missing storage", "checkpoint/bad-storage", torchZip(stateDict({ w: one }), {})],
    [
      "one storage described in two ways",
      "pickle/malformed",
      torchZip(stateDict({ w: one, v: { ...one, storage: "IntStorage" } }), { 0: six }),
    ],
    [
      "shape and strides of different rank",
      "pickle/malformed",
      torchZip(stateDict({ w: { ...one, strides: [1] } }), { 0: six }),
    ],
    [
      "an untyped storage",
      "pickle/refused-global",
      torchZip(stateDict({ w: { ...one, storage: "UntypedStorage" } }), { 0: six }),
    ],
    ["a checkpoint without tensors", "checkpoint/no-tensors", torchZip(pickle.int(5), {})],
    [
      "an unknown byte order",
      "checkpoint/unsupported",
      torchZip(stateDict({ w: one }), { 0: six }, { byteorder: Buffer.from("odd") }),
    ],
    [
      "TorchScript",
      "checkpoint/unsupported",
      torchZip(stateDict({ w: one }), { 0: six }, { "constants.pkl": six }),
    ],
    [
      "compressed entries",
      "checkpoint/unsupported",
      torchZip(stateDict({ w: one }), { 0: six }, {}, { method: 8 }),
    ],
    ["an archive without data.pkl", "checkpoint/unsupported", zip([["a/b", six]])],
    [
      "two entries of one name",
      "checkpoint/bad-zip",
      zip([
        ["a/data.pkl", six],
        ["a/data.pkl", six],
      ]),
    ],
    [
      "an archive cut off",
      "checkpoint/bad-zip",
      torchZip(stateDict({ w: one }), { 0: six }).subarray(0, 300),
    ],
    ["an empty file", "checkpoint/unsupported", new Uint8Array()],
    ["a web page", "checkpoint/unsupported", Buffer.from("<html>gone</html>")],
    [
      "a tar checkpoint",
      "checkpoint/unsupported",
      Buffer.concat([Buffer.alloc(257), Buffer.from("ustar"), Buffer.alloc(300)]),
    ],
  ];
  for (const [what, code, bytes] of refused) {
    it(`refuses ${what}`, async () => {
      expect((await failure(bytes)).code).toBe(code);
    });
  }
});

describe("the form before torch 1.6", () => {
  const legacy = (bigEndian: boolean): Uint8Array =>
    torchLegacy(
      stateDict({ w: one, v: { key: "1", count: 2, shape: [2], strides: [1] } }, true),
      [
        {
          key: "1",
          count: 2,
          bytes: bigEndian ? Buffer.from(floats(8, 9)).swap32() : floats(8, 9),
        },
        { key: "0", count: 6, bytes: bigEndian ? Buffer.from(six).swap32() : six },
      ],
      bigEndian,
    );

  it("reads either byte order", async () => {
    for (const bigEndian of [false, true]) {
      const file = await open(legacy(bigEndian));
      expect(await valuesOf(file, "w")).toEqual([0, 1, 2, 3, 4, 5]);
      expect(await valuesOf(file, "v")).toEqual([8, 9]);
      await file.close();
    }
  });

  it("refuses one that is cut off", async () => {
    const bytes = legacy(false);
    expect((await failure(bytes.subarray(0, bytes.length - 1))).code).toBe(
      "checkpoint/bad-storage",
    );
    expect((await failure(bytes.subarray(0, 100))).code).toBe("pickle/truncated");
  });
});

describe("hostile checkpoints", () => {
  it("names the code a file wants to run, and does not run it", async () => {
    const mark = join(directory, "ran");
    const attacks: [string, string, string][] = [
      ["os", "system", "os.system"],
      ["builtins", "eval", "builtins.eval"],
      ["torch", "load", "torch.load"],
      ["torch.storage", "_load_from_bytes", "torch.storage._load_from_bytes"],
      ["__proto__", "constructor", "__proto__.constructor"],
      ["torch", "constructor", "torch.constructor"],
    ];
    for (const [module, name, shown] of attacks) {
      const call = pickle.bytes(
        pickle.global(module, name),
        pickle.tuple(pickle.text(`touch ${mark}`)),
        "R",
      );
      const error = await failure(torchZip(call, {}));
      expect(error.code).toBe("pickle/refused-global");
      expect(error.message).toContain(shown);
    }
    expect(existsSync(mark)).toBe(false);
  });

  const shapes: [what: string, code: string, value: Uint8Array][] = [
    ["an opcode state dicts do not have", "unsupported", pickle.bytes("i")],
    ["a newer protocol", "unsupported", pickle.bytes(0x80, 5)],
    ["setting the state of a tensor", "refused", pickle.bytes(tensorPickle(one), "}b")],
    ["calling a value that is no function", "malformed", pickle.bytes("N)R")],
    [
      "calling a storage type",
      "malformed",
      pickle.bytes(pickle.global("torch", "FloatStorage"), ")R"),
    ],
    ["a value taken from an empty stack", "malformed", pickle.bytes("R")],
    ["a value taken across a mark", "malformed", pickle.bytes("N(", 0x85)],
    ["a group without a mark", "malformed", pickle.bytes("t")],
    ["an unknown memo slot", "malformed", pickle.bytes("h", 9)],
    ["a string longer than the file", "truncated", pickle.bytes("X", 0xff, 0xff, 0xff, 0xff)],
    ["an integer of 200 bytes", "too-large", pickle.bytes(0x8a, 200)],
    ["a million stacked values", "too-large", pickle.bytes(Buffer.alloc(1_100_000, "N"))],
    ["a million nested groups", "too-large", pickle.bytes(Buffer.alloc(1_100_000, "("))],
    ["half a million dicts", "too-large", pickle.bytes("(", Buffer.alloc(500_000, "}"))],
    ["a key without a value", "malformed", pickle.bytes("}(N", "u")],
    ["text that is not UTF-8", "malformed", pickle.bytes("X", 1, 0, 0, 0, 0xff)],
    ["a name without an end", "malformed", pickle.bytes("c", Buffer.alloc(400, "a"))],
  ];
  for (const [what, code, value] of shapes) {
    it(`refuses ${what}`, async () => {
      const error = await failure(torchZip(value, { 0: six }));
      expect(error.code).toBe(`pickle/${code}`);
    });
  }

  it("follows neither a list that holds itself nor dicts that hold each other", async () => {
    const list = pickle.bytes("]q", 0, "h", 0, "a");
    const dict = pickle.bytes("}q", 0, pickle.text("model"), "h", 0, "s");
    expect((await failure(torchZip(list, {}))).code).toBe("checkpoint/no-tensors");
    expect((await failure(torchZip(dict, {}))).code).toBe("checkpoint/no-tensors");
  });

  const changes = fc.array(
    fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.nat(255) }),
    {
      minLength: 1,
      maxLength: 8,
    },
  );

  async function survives(
    original: Uint8Array,
    from: number,
    seed: number,
    numRuns: number,
  ): Promise<void> {
    const path = join(directory, `mutated-${seed}.pt`);
    const allocated = process.memoryUsage().arrayBuffers;
    await fc.assert(
      fc.asyncProperty(
        changes,
        fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
        async (edits, cut) => {
          const bytes = Buffer.from(original);
          for (const { at, byte } of edits)
            bytes[from + Math.floor(at * (bytes.length - from - 1))] = byte;
          await writeFile(
            path,
            cut === null ? bytes : bytes.subarray(0, Math.floor(cut * bytes.length)),
          );
          try {
            await (await openTorchCheckpoint(path)).close();
          } catch (error) {
            if (!(error instanceof HydrantError)) throw error;
          }
          expect(process.memoryUsage().arrayBuffers - allocated).toBeLessThan(64 * 1024 * 1024);
        },
      ),
      { numRuns, seed },
    );
  }

  it("survives any change to a small zip checkpoint", async () => {
    await survives(torchZip(stateDict({ w: one }), { 0: six }, {}, { zip64: true }), 0, 1, 250);
    await survives(torchZip(stateDict({ w: one }), { 0: six }), 0, 2, 250);
  });

  it("survives any change to a legacy checkpoint", async () => {
    await survives(
      torchLegacy(stateDict({ w: one }, true), [{ key: "0", count: 6, bytes: six }]),
      4,
      3,
      250,
    );
  });

  it("survives any change to a real checkpoint's directory and pickle", async () => {
    const original = await readFile(join(golden, "V2-hydra-prefix-mlp/heads/hydra_lm_head.pt"));
    await survives(original, original.length - 2500, 4, 100);
    const head = join(directory, "real.pt");
    await writeFile(head, original);
    await fc.assert(
      fc.asyncProperty(fc.nat(4000), fc.nat(255), async (at, byte) => {
        const mutated = Buffer.from(original);
        mutated[60 + at] = byte;
        await writeFile(head, mutated);
        try {
          await (await openTorchCheckpoint(head)).close();
        } catch (error) {
          if (!(error instanceof HydrantError)) throw error;
        }
      }),
      { numRuns: 100, seed: 5 },
    );
  });
});

async function expectSame(torch: string, safetensors: string): Promise<void> {
  const a = await openTorchCheckpoint(torch);
  const b = await openSafetensors(safetensors);
  expect([...a.tensors.keys()].sort()).toEqual([...b.tensors.keys()].sort());
  for (const { name, dtype, shape, byteLength } of b.tensors.values()) {
    expect(a.tensors.get(name)).toMatchObject({ dtype, shape, byteLength });
    const [x, y] = [Buffer.alloc(byteLength), Buffer.alloc(byteLength)];
    await a.read(name, x);
    await b.read(name, y);
    expect(x.equals(y), name).toBe(true);
  }
  await a.close();
  await b.close();
}

describe("heads saved by torch", () => {
  it("read blocks that share one storage under every name", async () => {
    const file = await openTorchCheckpoint(
      join(golden, "V2-hydra-prefix-mlp/heads/hydra_lm_head.pt"),
    );
    const blocks = await Promise.all(
      [3, 5, 7].map((block) => valuesOf(file, `hydra_mlp.2.${block}.linear.weight`)),
    );
    expect(blocks[0]?.length).toBe(64 * 64);
    expect(blocks[1]).toEqual(blocks[0]);
    expect(blocks[2]).toEqual(blocks[0]);
    await file.close();
  });

  it.skipIf(!hasSharedGolden)(
    "equal their safetensors form in every case (full vectors, beside the checkout)",
    async () => {
      const cases = [
        "V1-hydra-mlp/heads/hydra",
        "V2-hydra-prefix-mlp/heads/hydra",
        "V3-medusa/heads/medusa",
      ];
      cases.push("V4-hydra-eagle-attn/heads/hydra", "V5-hydra-cross-attn/heads/hydra");
      for (const name of cases) {
        const heads = join(sharedGolden, `${name}_lm_head`);
        await expectSame(`${heads}.pt`, `${heads}.safetensors`);
      }
    },
  );
});

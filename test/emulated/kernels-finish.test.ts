import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Allocator, elementsOf } from "../../kernels/entry.ts";
import { type FinishOp, finish } from "../../kernels/finish/finish.ts";
import { ringSlots } from "../../src/ir/program.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { floatsOf, KernelLab, type LabBuffer, stored } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("ends runs", () => {}));

const ring = -1;
const number = 90;

/** Scratch from buffer 500 on. */
class TestAllocator implements Allocator {
  readonly buffers = new Map<number, { readonly bytes: number }>();
  scratch(bytes: number): number {
    const id = 500 + this.buffers.size;
    this.buffers.set(id, { bytes });
    return id;
  }
  counters(): number {
    throw new Error("finish needs no counters");
  }
}

function ints(bytes: Uint8Array | undefined, offset = 0, count?: number): number[] {
  if (bytes === undefined) throw new Error("no such buffer");
  return [...new Int32Array(bytes.slice(offset, count && offset + 4 * count).buffer)];
}

const nothing: Omit<FinishOp, "slotBytes"> = { updates: [], outputs: [], number, label: "finish" };

describe.skipIf(installedNvrtc().length === 0)("the kernel at the end of a run", () => {
  let lab: KernelLab;
  beforeAll(async () => {
    lab = await KernelLab.open({ seed: 13 });
  });
  afterAll(() => lab.close());

  function run(op: FinishOp, buffers: readonly (readonly [number, LabBuffer])[]) {
    const memory = new TestAllocator();
    const call = finish(op, memory);
    return lab.run([call], new Map<number, LabBuffer>([...buffers, ...memory.buffers]));
  }

  const slotBytes = 64;
  const counted = (filled: number): readonly (readonly [number, LabBuffer])[] => [
    [ring, new Uint8Array(ringSlots(slotBytes) * slotBytes)],
    [number, Int32Array.of(filled)],
  ];

  it("fills the slots of the ring in turn and numbers them from one", () => {
    const slots = ringSlots(slotBytes);
    for (const filled of [0, 1, slots - 1, slots, 4711]) {
      const after = run({ ...nothing, slotBytes }, counted(filled));
      expect(ints(after.get(number))).toEqual([filled + 1]);
      const expected = new Array<number>((slots * slotBytes) / 4).fill(0);
      expected[(filled % slots) * (slotBytes / 4)] = filled + 1;
      expect(ints(after.get(ring))).toEqual(expected);
    }
    expect(lab.findings()).toEqual([]);
  });

  it("reads every state before it changes any", () => {
    // The states 1 and 2 are exchanged, 3 becomes their sum, and the host sees what they were.
    const sum: FinishOp["updates"][number]["value"] = (entry) => {
      const a = entry.buffer("a", 1, "int", "read");
      const b = entry.buffer("b", 2, "int", "read");
      return (index) => `${a}[${index}] + ${b}[${index}]`;
    };
    const first = elementsOf(1, "int", "first");
    const second = elementsOf(2, "int", "second");
    const elements = 700;
    const after = run(
      {
        ...nothing,
        updates: [
          { value: second, state: 1, dtype: "i32", elements },
          { value: first, state: 2, dtype: "i32", elements },
          { value: sum, state: 3, dtype: "i32", elements },
        ],
        outputs: [
          { value: first, dtype: "i32", elements: 5, offset: 16 },
          { value: sum, dtype: "i32", elements: 1, offset: 48 },
        ],
        slotBytes,
      },
      [
        [1, Int32Array.from({ length: elements }, (_, i) => i)],
        [2, Int32Array.from({ length: elements }, (_, i) => 1000 * i + 3)],
        [3, { bytes: 4 * elements }],
        ...counted(2),
      ],
    );
    expect(ints(after.get(1))).toEqual(Array.from({ length: elements }, (_, i) => 1000 * i + 3));
    expect(ints(after.get(2))).toEqual(Array.from({ length: elements }, (_, i) => i));
    expect(ints(after.get(3))).toEqual(Array.from({ length: elements }, (_, i) => 1001 * i + 3));
    const slot = 2 * slotBytes;
    expect(ints(after.get(ring), slot, 1)).toEqual([3]);
    expect(ints(after.get(ring), slot + 16, 5)).toEqual([0, 1, 2, 3, 4]);
    expect(ints(after.get(ring), slot + 48, 1)).toEqual([3]);
    expect(lab.findings()).toEqual([]);
  });

  it.each([
    { elements: 4096, why: "shared memory" },
    { elements: 9000, why: "the arena" },
  ])("stages a row of $elements floats in $why", ({ elements }) => {
    const rows = new Random(elements).normals(2 * elements);
    const lastRow: FinishOp["updates"][number]["value"] = (entry) => {
      const x = entry.buffer("hidden", 1, "float", "read");
      const last = entry.buffer("last", 2, "int", "read");
      return (index) => `${x}[${last}[0] * ${elements} + ${index}]`;
    };
    const after = run(
      {
        ...nothing,
        updates: [
          { value: lastRow, state: 1, dtype: "f32", elements },
          { value: elementsOf(3, "u64", "word"), state: 2, dtype: "u64", elements: 1 },
        ],
        slotBytes,
      },
      [
        [1, rows],
        [2, BigUint64Array.of(1n)],
        [3, BigUint64Array.of(0x1234_5678_9abc_def0n)],
        ...counted(0),
      ],
    );
    const expected = rows.slice();
    expected.copyWithin(0, elements);
    expect(floatsOf("f32", after.get(1))).toEqual(expected);
    expect(new BigUint64Array(after.get(2)?.buffer ?? new ArrayBuffer(0))).toEqual(
      BigUint64Array.of(0x1234_5678_9abc_def0n),
    );
    expect(lab.findings()).toEqual([]);
  });

  it("publishes matrices of any size in their type", () => {
    const elements = 3001;
    const bytes = 32 + 2 * elements + 14;
    const x = stored("bf16", new Random(1).normals(elements));
    const after = run(
      {
        ...nothing,
        outputs: [{ value: elementsOf(1, "bf16", "x"), dtype: "bf16", elements, offset: 32 }],
        slotBytes: bytes,
      },
      [
        [1, x],
        [ring, new Uint8Array(ringSlots(bytes) * bytes)],
        [number, Int32Array.of(1)],
      ],
    );
    expect(after.get(ring)?.slice(bytes + 32, bytes + 32 + 2 * elements)).toEqual(x);
    expect(lab.findings()).toEqual([]);
  });
});

describe("the text of the kernel at the end of a run", () => {
  const length = elementsOf(1, "int", "length");

  it("changes states after a barrier and publishes last", () => {
    const call = finish(
      {
        ...nothing,
        updates: [{ value: length, state: 1, dtype: "i32", elements: 1 }],
        outputs: [{ value: length, dtype: "i32", elements: 1, offset: 16 }],
        slotBytes: 256,
      },
      new TestAllocator(),
    );
    expect(call.kernel.source).toMatchInlineSnapshot(`
      "// States changed: 1. Outputs published: 1.
      #include "prelude/all.cuh"
      #include "kernels/finish/finish.cuh"

      // New values, until all are known.
      struct Staged {
        int update_0[1];
      };

      extern "C" __global__ void __launch_bounds__(256)
      finish_1_states_1_outputs_573935(const int* length, int* number, unsigned char* ring, int slot_bytes, int slots, const int* length_1, int elements, int offset, int* state) {
        grid_launch_dependents();
        grid_dependency_wait();
        const int filled = number[0];
        unsigned char* slot = ring + static_cast<size_t>(filled % slots) * slot_bytes;
        __shared__ Staged staged;
        evaluate<256, 0>(staged.update_0, 1, [&](int i) { return length[i]; });
        evaluate<256, 1>(reinterpret_cast<int*>(slot + offset), elements, [&](int i) { return length_1[i]; });
        __syncthreads();
        update_state<256>(state, staged.update_0);
        publish(slot, number, filled);
      }
      "
    `);
  });

  it("is one for outputs of any size", () => {
    const of = (elements: number) =>
      finish(
        {
          ...nothing,
          outputs: [{ value: length, dtype: "i32", elements, offset: 16 }],
          slotBytes: 16 * elements,
        },
        new TestAllocator(),
      ).kernel;
    expect(of(64)).toEqual(of(1));
  });
});

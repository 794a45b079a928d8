import { describe, expect, it } from "vitest";
import { type EntryText, type KernelCall, KernelEntry } from "../../kernels/entry.ts";
import type { TensorMap } from "../../src/ir/program.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { KernelLab, type LabBuffer } from "../helpers/kernel-lab.ts";

const missing = !installedNvrtc().some(({ nvrtc }) => nvrtc.version.major >= 12);

const MATRIX = 0;
const OUT = 1;
const BOX = 64;

/** Element (row, column) of the test's matrix: tells its place, and is never zero. */
const element = (row: number, column: number): number => 1 + row * 256 + column;

function matrix({ rows, columns }: TensorMap): Uint16Array<ArrayBuffer> {
  return Uint16Array.from({ length: rows * columns }, (_, i) =>
    element(Math.floor(i / columns), i % columns),
  );
}

/** What lies in shared memory: zeros past the matrix, 16-byte pieces at piece ^ row % 8. */
function box({ rows, columns }: TensorMap, boxRows: number, column: number, row: number): number[] {
  const expected = new Array<number>(boxRows * BOX).fill(0);
  for (let r = 0; r < boxRows; r++) {
    for (let c = 0; c < BOX; c++) {
      const [y, x] = [row + r, column + c];
      if (y < 0 || y >= rows || x < 0 || x >= columns) continue;
      expected[r * BOX + ((c >> 3) ^ (r % 8)) * 8 + (c % 8)] = element(y, x);
    }
  }
  return expected;
}

function kernel(
  map: TensorMap,
  text: Pick<EntryText, "body" | "sharedBytes"> & Partial<EntryText>,
): KernelCall {
  const entry = new KernelEntry("test");
  entry.buffer("out", OUT, "u16", "write");
  entry.tensorMap("map", MATRIX, map);
  return entry.finish({
    name: "tensor_map",
    comment: "Copies boxes.",
    includes: [],
    config: "extern __shared__ __align__(1024) u8 tile[];",
    threads: 64,
    grid: [1, 1, 1],
    label: "tensor_map",
    traffic: { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 },
    ...text,
  });
}

const START = `
__shared__ u64 barrier;
const u32 bar = shared_address(&barrier);
if (threadIdx.x == 0) { mbarrier_init(bar, 1); mbarrier_init_fence(); }
__syncthreads();`;

/** One box to the start of dynamic shared memory (or `at` bytes on), and all of it to `out`. */
function oneBox(map: TensorMap, column: number, row: number, at = 0): KernelCall {
  const bytes = map.boxRows * BOX * 2;
  return kernel(map, {
    sharedBytes: bytes + at,
    body: `${START}
if (threadIdx.x == 0) {
  tensor_map_prefetch(map);
  mbarrier_arrive_expect(bar, ${bytes});
  tensor_copy(shared_address(tile) + ${at}, map, ${column}, ${row}, bar);
}
mbarrier_wait(bar, 0);
for (int i = threadIdx.x; i < ${bytes / 2}; i += 64) out[i] = reinterpret_cast<const u16*>(tile + ${at})[i];`,
  });
}

const CHUNKS = 5;

/**
 * A ring of two stages in a cluster: one warp of each block sends its slice of every box to all, and
 * takes a stage again when all blocks have released it, or (`selfish`) when its own has.
 */
function ring(map: TensorMap, blocks: number, selfish = false): KernelCall {
  const tile = 64 * BOX * 2;
  return kernel(map, {
    sharedBytes: 2 * tile,
    cluster: [blocks, 1, 1],
    grid: [2 * blocks, 1, 1],
    body: `
__shared__ u64 full[2], empty[2];
const u32 rank = cluster_rank();
if (threadIdx.x == 0) {
  for (int s = 0; s < 2; s++) {
    mbarrier_init(shared_address(full + s), 1);
    mbarrier_init(shared_address(empty + s), ${selfish ? 1 : blocks});
  }
  mbarrier_init_fence();
}
cluster_sync();
for (int chunk = 0; chunk < ${CHUNKS}; chunk++) {
  const int stage = chunk % 2, phase = chunk / 2 % 2;
  const u32 filled = shared_address(full + stage), released = shared_address(empty + stage);
  if (threadIdx.x == 0) {
    if (chunk >= 2) mbarrier_wait(released, phase ^ 1);
    mbarrier_arrive_expect(filled, ${tile});
    const u32 slice = shared_address(tile) + stage * ${tile} + rank * ${tile / blocks};
    tensor_copy_multicast(slice, map, chunk * 64, rank * ${64 / blocks}, filled, ${2 ** blocks - 1});
  }
  if (threadIdx.x >= 32) {
    mbarrier_wait(filled, phase);
    const u16* from = reinterpret_cast<const u16*>(tile + stage * ${tile});
    u16* to = out + (blockIdx.x * ${CHUNKS} + chunk) * ${tile / 2};
    for (int i = threadIdx.x - 32; i < ${tile / 2}; i += 32) to[i] = from[i];
    __syncwarp();
    const u32 peer = threadIdx.x - 32;
    if (${selfish ? "peer == rank" : `peer < ${blocks}`}) mbarrier_arrive_cluster(released, peer);
  }
}
cluster_sync();`,
  });
}

async function run(
  calls: readonly KernelCall[],
  source: LabBuffer,
  outBytes: number,
  seed = 0,
): Promise<{ out: Uint16Array; kinds: readonly string[]; messages: string; read: number }> {
  const lab = await KernelLab.open({ arch: "sm_90a", seed });
  try {
    const buffers = new Map([
      [MATRIX, source],
      [OUT, { bytes: outBytes }],
    ]);
    let bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
    try {
      bytes = lab.run(calls, buffers).get(OUT) ?? bytes;
    } catch (error) {
      // What ends a launch is among the findings.
      if (lab.findings().length === 0) throw error;
    }
    const findings = lab.findings();
    return {
      out: new Uint16Array(bytes.buffer),
      kinds: [...new Set(findings.map(({ kind }) => kind))],
      messages: findings.map(({ message }) => message).join("\n"),
      read: lab.counters().globalBytesRead,
    };
  } finally {
    lab.close();
  }
}

const bytesOf = ({ boxRows }: TensorMap): number => boxRows * BOX * 2;

describe.skipIf(missing)(`boxes through tensor maps ${missing ? NO_NVRTC : ""}`, () => {
  it.each([
    { rows: 40, columns: 128, boxRows: 16, column: 64, row: 8 },
    { rows: 40, columns: 128, boxRows: 16, column: 0, row: 32 },
    { rows: 5, columns: 128, boxRows: 16, column: 64, row: 0 },
    { rows: 12, columns: 72, boxRows: 12, column: 64, row: 0 },
    { rows: 12, columns: 128, boxRows: 8, column: -32, row: -3 },
    { rows: 12, columns: 128, boxRows: 8, column: 0, row: 12 },
    { rows: 256, columns: 64, boxRows: 256, column: 0, row: 0 },
  ])(
    "copies $boxRows rows at ($row, $column) of [$rows, $columns], swizzled, zeros past the end",
    async ({ column, row, ...extents }) => {
      const map: TensorMap = { dtype: "bf16", ...extents };
      const { out, kinds } = await run([oneBox(map, column, row)], matrix(map), bytesOf(map));
      expect([...out]).toEqual(box(map, map.boxRows, column, row));
      expect(kinds).toEqual([]);
    },
  );

  it.each([
    [2, 0],
    [2, 3],
    [4, 0],
    [4, 7],
  ])("sends slices to all of a cluster of %i, with seed %i", async (blocks, seed) => {
    const map: TensorMap = {
      dtype: "f16",
      rows: 50,
      columns: CHUNKS * BOX,
      boxRows: 64 / blocks,
    };
    const tile = 64 * BOX;
    const grid = 2 * blocks;
    const { out, kinds, messages, read } = await run(
      [ring(map, blocks)],
      matrix(map),
      grid * CHUNKS * tile * 2,
      seed,
    );
    expect(messages).toBe("");
    expect(kinds).toEqual([]);
    for (let i = 0; i < grid * CHUNKS; i++) {
      const expected = box(map, 64, (i % CHUNKS) * BOX, 0);
      expect([...out.subarray(i * tile, (i + 1) * tile)], `box ${i}`).toEqual(expected);
    }
    // Once for each of the two clusters, however many blocks get it.
    expect(read).toBe(2 * 50 * CHUNKS * BOX * 2);
  });

  it("shows a block that overwrites what another has not released", async () => {
    const map: TensorMap = { dtype: "f16", rows: 64, columns: CHUNKS * BOX, boxRows: 32 };
    const bytes = 4 * CHUNKS * 64 * BOX * 2;
    const kinds = new Set<string>();
    // Whether a block is late depends on who gets a turn.
    for (let seed = 0; seed < 6; seed++)
      for (const kind of (await run([ring(map, 2, true)], matrix(map), bytes, seed)).kinds)
        kinds.add(kind);
    // Readers of the stage meet a copy that is under way.
    expect([...kinds]).toEqual(["missing-wait"]);
  });

  const small: TensorMap = { dtype: "bf16", rows: 16, columns: 64, boxRows: 16 };

  it("shows a map of more rows than there is memory", async () => {
    const { kinds, messages } = await run(
      [oneBox({ ...small, rows: 20, boxRows: 8 }, 0, 12)],
      matrix(small),
      1024,
    );
    expect(kinds).toEqual(["out-of-bounds"]);
    expect(messages).toMatch(/reads 128 bytes at .* 128 bytes past the end of allocation/);
  });

  it("shows rows that nothing has written", async () => {
    const { kinds } = await run([oneBox(small, 0, 0)], { bytes: 16 * BOX * 2 }, bytesOf(small));
    expect(kinds).toEqual(["uninitialized"]);
  });

  it("shows a copy before the wait for the kernels that write the matrix", async () => {
    const bytes = bytesOf(small);
    const entry = new KernelEntry("test");
    const matrixName = entry.buffer("matrix", MATRIX, "u16", "write");
    const writer = entry.finish({
      ...{ name: "writer", comment: "Writes.", includes: [], config: "", threads: 64 },
      body: `for (int i = threadIdx.x; i < ${bytes / 2}; i += 64) ${matrixName}[i] = i;`,
      grid: [1, 1, 1],
      label: "writer",
      traffic: { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 },
    });
    const early = kernel(small, {
      sharedBytes: bytes,
      prologue: `${START}
if (threadIdx.x == 0) {
  mbarrier_arrive_expect(bar, ${bytes});
  tensor_copy(shared_address(tile), map, 0, 0, bar);
}`,
      body: "mbarrier_wait(bar, 0);\nout[threadIdx.x] = tile[threadIdx.x];",
    });
    const source = { bytes };
    const found = await run([writer, early], source, bytes);
    expect(found.kinds).toEqual(["missing-wait"]);
    expect(found.messages).toMatch(/before this warp's griddepcontrol.wait/);
    expect((await run([writer, oneBox(small, 0, 0)], source, bytes)).kinds).toEqual([]);
  });

  it("shows a box that is read before it has come", async () => {
    const hasty = kernel(small, {
      sharedBytes: bytesOf(small),
      body: `${START}
if (threadIdx.x == 0) {
  mbarrier_arrive_expect(bar, ${bytesOf(small)});
  tensor_copy(shared_address(tile), map, 0, 0, bar);
}
__syncthreads();
out[threadIdx.x] = tile[threadIdx.x];
mbarrier_wait(bar, 0);`,
    });
    expect((await run([hasty], matrix(small), 128)).kinds).toEqual(["missing-wait"]);
  });

  it.each([
    [512, /its swizzle repeats every 1024 bytes/],
    [64, /it must be a multiple of 128, and of 1024/],
  ])("refuses a destination %i bytes into the pattern", async (at, message) => {
    const { kinds, messages } = await run([oneBox(small, 0, 0, at)], matrix(small), 4096);
    expect(kinds).toEqual(["misaligned"]);
    expect(messages).toMatch(message);
  });

  it("refuses bytes that are no map", async () => {
    const entry = new KernelEntry("test");
    const pointers = new Array<number>(16).fill(MATRIX);
    const name = entry.table("map", pointers, "u16", "read");
    const call = entry.finish({
      ...{ name: "no_map", comment: "Copies.", includes: [], threads: 32, sharedBytes: 2048 },
      config: "extern __shared__ __align__(1024) u8 tile[];",
      body: `${START}
if (threadIdx.x == 0)
  tensor_copy(shared_address(tile), reinterpret_cast<const TensorMap&>(${name}), 0, 0, bar);`,
      grid: [1, 1, 1],
      label: "no_map",
      traffic: { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 },
    });
    const { messages } = await run([call], matrix(small), 128);
    expect(messages).toMatch(/a tensor map that cuTensorMapEncodeTiled did not make/);
  });

  it.each<[string, Partial<TensorMap>]>([
    ["rows that do not begin at multiples of 16 bytes", { columns: 60 }],
    ["boxes of 257 rows", { boxRows: 257 }],
    ["a matrix without rows", { rows: 0 }],
  ])("makes no map with %s", async (_, change) => {
    const lab = await KernelLab.open({ arch: "sm_90a" });
    const { driver } = lab;
    const ptr = driver.memAlloc(4096);
    expect(() => driver.tensorMapEncode(ptr, { ...small, ...change })).toThrow(/out of range/);
    expect(driver.tensorMapEncode(ptr, small)).toHaveLength(128);
    driver.memFree(ptr);
    lab.close();
  });

  it("has no maps before compute capability 9.0", async () => {
    const lab = await KernelLab.open({ arch: "sm_80" });
    const { driver } = lab;
    const ptr = driver.memAlloc(4096);
    expect(driver.supports("tensor-maps")).toBe(false);
    expect(() => driver.tensorMapEncode(ptr, small)).toThrow(/need compute capability 9.0/);
    driver.memFree(ptr);
    lab.close();
  });
});

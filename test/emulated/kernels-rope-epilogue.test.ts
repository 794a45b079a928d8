import { afterAll, describe, expect, it } from "vitest";
import { cudaTypes, elementsOf, type KernelCall, KernelEntry } from "../../kernels/entry.ts";
import { rope } from "../../kernels/rope/rope.ts";
import type { FloatDType } from "../../src/ir/dtype.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { KernelLab, type LabBuffer, stored } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

const [X, POSITIONS, FREQUENCIES, Q, KEYS, VALUES] = [0, 1, 2, 3, 4, 5];
const start = 3;

interface Shape {
  readonly rows: number;
  readonly headDim: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Heads of a tile. */
  readonly tileHeads: number;
  readonly query: FloatDType;
  readonly cache: FloatDType;
}

/** The epilogue alone: tiles come from x[rows, (heads + 2 kvHeads) * headDim], q then k then v. */
function epilogue({ rows, headDim, heads, kvHeads, tileHeads, query, cache }: Shape): KernelCall {
  const entry = new KernelEntry("linear");
  const x = entry.buffer("x", X, "float", "read");
  const position = elementsOf(POSITIONS, "int", "positions")(entry)("row");
  const frequencies = entry.buffer("inv_freq", FREQUENCIES, "float", "read");
  const q = entry.buffer("q", Q, cudaTypes[query], "write");
  const keys = entry.buffer("keys", KEYS, cudaTypes[cache], "write");
  const values = entry.buffer("values", VALUES, cudaTypes[cache], "write");
  const count = entry.i32("rows", rows);
  const tilesOf = (of: number) => Math.ceil(of / tileHeads);
  return entry.finish({
    name: "rope_cache_epilogue",
    comment: "Rope-and-cache epilogue over a tile from memory.",
    includes: ["kernels/linear/rope-cache.cuh"],
    config: `
constexpr int kRows = 8, kTile = ${tileHeads * headDim};
struct Config {
  static constexpr int kHeadDim = ${headDim};
  static constexpr int kQueryWidth = ${heads * headDim};
  static constexpr int kCacheWidth = ${kvHeads * headDim};
  using Query = ${cudaTypes[query]};
  using Key = ${cudaTypes[cache]};
  using Value = ${cudaTypes[cache]};
  DEVICE static constexpr Role role(int weight) {
    return weight == 0 ? Role::kQuery : weight == 1 ? Role::kKey : Role::kValue;
  }
};`,
    body: `
__shared__ alignas(16) float data[Tile<1, kRows, kTile>::kFloats];
const Tile<1, kRows, kTile> tile{data};
const int q_tiles = ${tilesOf(heads)}, kv_tiles = ${tilesOf(kvHeads)}, t = blockIdx.x;
const int weight = t < q_tiles ? 0 : t < q_tiles + kv_tiles ? 1 : 2;
const int in_weight = t - (weight == 0 ? 0 : weight == 1 ? q_tiles : q_tiles + kv_tiles);
const int before = weight == 0 ? 0 : Config::kQueryWidth + (weight - 1) * Config::kCacheWidth;
const int width = weight == 0 ? Config::kQueryWidth : Config::kCacheWidth;
const int row_width = Config::kQueryWidth + 2 * Config::kCacheWidth;
const int first = in_weight * kTile, row = blockIdx.y * kRows;
const Place place{weight, first, min(kTile, width - first), row, min(kRows, ${count} - row), t};
for (int i = threadIdx.x; i < place.rows * place.outputs; i += blockDim.x)
  tile.at(0, i / place.outputs, i % place.outputs) =
      ${x}[(row + i / place.outputs) * row_width + before + first + i % place.outputs];
__syncthreads();
rope_cache<Config>(${q}, ${keys}, ${values}, ${frequencies}, ${start}, [&](int row) { return ${position}; })(tile, place);`,
    threads: 64,
    grid: [tilesOf(heads) + 2 * tilesOf(kvHeads), Math.ceil(rows / 8), 1],
    label: "rope",
    traffic: { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 },
  });
}

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("turns pairs", () => {}));

describe.skipIf(installedNvrtc().length === 0)("the rope-and-cache epilogue", async () => {
  const lab = installedNvrtc().length === 0 ? undefined : await KernelLab.open();
  afterAll(() => lab?.close());

  it.each<Shape>([
    { rows: 3, headDim: 64, heads: 4, kvHeads: 2, tileHeads: 1, query: "bf16", cache: "bf16" },
    { rows: 11, headDim: 16, heads: 3, kvHeads: 3, tileHeads: 2, query: "f32", cache: "f16" },
    { rows: 9, headDim: 10, heads: 2, kvHeads: 1, tileHeads: 8, query: "f16", cache: "f32" },
  ])("stores what the rope kernel would, at head size $headDim", (shape) => {
    if (lab === undefined) throw new Error(NO_NVRTC);
    const { rows, headDim, heads, kvHeads, query, cache } = shape;
    const random = new Random(headDim);
    const width = (heads + 2 * kvHeads) * headDim;
    const slots = start + rows + 2;
    const x = random.normals(rows * width);
    const positions = Int32Array.from({ length: rows }, () => random.int(0, 100_000));
    const frequencies = Float32Array.from(
      { length: headDim / 2 },
      (_, i) => 500_000 ** ((-2 * i) / headDim),
    );
    const bytes = (count: number, dtype: FloatDType) => stored(dtype, new Float32Array(count));
    const operands: [number, LabBuffer][] = [
      [POSITIONS, positions],
      [FREQUENCIES, frequencies],
    ];
    const after = lab.run(
      [epilogue(shape)],
      new Map<number, LabBuffer>([
        ...operands,
        [X, x],
        [Q, bytes(rows * heads * headDim, query)],
        [KEYS, bytes(slots * kvHeads * headDim, cache)],
        [VALUES, bytes(slots * kvHeads * headDim, cache)],
      ]),
    );
    const columns = (first: number, count: number): Float32Array =>
      Float32Array.from(
        { length: rows * count },
        (_, i) => x[Math.floor(i / count) * width + first + (i % count)] ?? 0,
      );
    const turned = (part: Float32Array, partHeads: number, dtype: FloatDType, into: boolean) => {
      const call = rope({
        x: X,
        rows,
        heads: partHeads,
        headDim,
        positions: elementsOf(POSITIONS, "int", "positions"),
        inverseFrequencies: FREQUENCIES,
        out: { buffer: Q, dtype },
        ...(into ? { start: () => () => String(start) } : {}),
        label: "rope",
      });
      const size = (into ? slots : rows) * partHeads * headDim;
      return lab.run([call], new Map([...operands, [X, part], [Q, bytes(size, dtype)]])).get(Q);
    };
    const kvWidth = kvHeads * headDim;
    expect(after.get(Q)).toEqual(turned(columns(0, heads * headDim), heads, query, false));
    expect(after.get(KEYS)).toEqual(
      turned(columns(heads * headDim, kvWidth), kvHeads, cache, true),
    );
    const values = bytes(slots * kvWidth, cache);
    const plain = stored(cache, columns(heads * headDim + kvWidth, kvWidth));
    values.set(plain, (start * plain.length) / rows);
    expect(after.get(VALUES)).toEqual(Uint8Array.from(values));
    expect(lab.findings()).toEqual([]);
  });
});

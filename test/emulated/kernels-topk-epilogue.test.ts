import { afterAll, describe, expect, it } from "vitest";
import { type KernelCall, KernelEntry } from "../../kernels/entry.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { KernelLab, type LabBuffer } from "../helpers/kernel-lab.ts";
import { Random } from "../helpers/random.ts";

const [X, VALUES, IDS, LOGITS] = [0, 1, 2, 3];

/** The epilogue alone: tiles come from x[rows, outputs] in memory. */
function epilogue(
  rows: number,
  outputs: number,
  width: number,
  k: number,
  store: boolean,
): KernelCall {
  const tiles = Math.ceil(outputs / width);
  const entry = new KernelEntry("linear");
  const x = entry.buffer("x", X, "float", "read");
  const values = entry.buffer("values", VALUES, "float", "write");
  const ids = entry.buffer("ids", IDS, "int", "write");
  const logits = entry.buffer("logits", LOGITS, "float", "write");
  const count = entry.i32("rows", rows);
  return entry.finish({
    name: "topk_epilogue",
    comment: "Top-k epilogue over a tile from memory.",
    includes: ["kernels/linear/topk.cuh"],
    config: `constexpr int kRows = 16; constexpr int kWidth = ${width}; constexpr int kOutputs = ${outputs};`,
    body: `
__shared__ alignas(16) float data[Tile<1, kRows, kWidth>::kFloats];
const Tile<1, kRows, kWidth> tile{data};
const int first = blockIdx.x * kWidth, row = blockIdx.y * kRows;
const Place place{0, first, min(kWidth, kOutputs - first), row, min(kRows, ${count} - row), static_cast<int>(blockIdx.x)};
for (int i = threadIdx.x; i < place.rows * place.outputs; i += blockDim.x)
  tile.at(0, i / place.outputs, i % place.outputs) = ${x}[(row + i / place.outputs) * kOutputs + first + i % place.outputs];
__syncthreads();
topk_epilogue<${k}, ${tiles}, kOutputs>(${values}, ${ids}, [&]() -> float* { return ${store} ? ${logits} : nullptr; })(tile, place);`,
    threads: 96,
    grid: [tiles, Math.ceil(rows / 16), 1],
    label: "topk",
    traffic: { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 },
  });
}

if (installedNvrtc().length === 0) describe.skip(NO_NVRTC, () => it("ranks", () => {}));

describe.skipIf(installedNvrtc().length === 0)("the top-k epilogue", async () => {
  const lab = installedNvrtc().length === 0 ? undefined : await KernelLab.open();
  afterAll(() => lab?.close());

  function run(x: Float32Array, rows: number, width: number, k: number, store = true) {
    if (lab === undefined) throw new Error(NO_NVRTC);
    const outputs = x.length / rows;
    const tiles = Math.ceil(outputs / width);
    const after = lab.run(
      [epilogue(rows, outputs, width, k, store)],
      new Map<number, LabBuffer>([
        [X, x],
        [VALUES, { bytes: rows * tiles * k * 4 }],
        [IDS, { bytes: rows * tiles * k * 4 }],
        [LOGITS, new Float32Array(x.length).fill(77)],
      ]),
    );
    expect(lab.findings()).toEqual([]);
    const bytes = (buffer: number) => after.get(buffer)?.buffer ?? new ArrayBuffer(0);
    return {
      values: new Float32Array(bytes(VALUES)),
      ids: new Int32Array(bytes(IDS)),
      logits: new Float32Array(bytes(LOGITS)),
    };
  }

  it.each([
    [3, 128, 64, 1],
    [17, 100, 64, 10],
    [2, 33, 16, 20],
    [1, 81, 80, 40],
    [5, 130, 128, 64],
  ])(
    "of %d rows of %d outputs in tiles of %d keeps the best %d of each tile",
    (rows, outputs, width, k) => {
      const x = new Random(outputs)
        .normals(rows * outputs)
        .map((value) => Math.round(3 * value) + 0);
      x[outputs - 1] = Number.NaN;
      const { values, ids, logits } = run(x, rows, width, k);
      expect(logits).toEqual(x);
      const tiles = Math.ceil(outputs / width);
      for (let row = 0; row < rows; row++) {
        for (let tile = 0; tile < tiles; tile++) {
          const first = tile * width;
          const size = Math.min(width, outputs - first);
          const value = (id: number): number => {
            const logit = x[row * outputs + id] ?? 0;
            return Number.isNaN(logit) ? Number.NEGATIVE_INFINITY : logit;
          };
          const order = Array.from({ length: size }, (_, i) => first + i).sort((a, b) =>
            value(a) === value(b) ? a - b : value(b) > value(a) ? 1 : -1,
          );
          const missing = new Array<number>(Math.max(0, k - size));
          const list = (row * tiles + tile) * k;
          expect([...ids.subarray(list, list + k)]).toEqual([
            ...order.slice(0, k),
            ...missing.fill(0x7fffffff),
          ]);
          expect([...values.subarray(list, list + k)]).toEqual([
            ...order.slice(0, k).map(value),
            ...missing.fill(Number.NEGATIVE_INFINITY),
          ]);
        }
      }
    },
  );

  it("leaves logits alone when nobody reads them", () => {
    const { logits } = run(new Random(1).normals(64), 2, 16, 3, false);
    expect(logits).toEqual(new Float32Array(64).fill(77));
  });
});

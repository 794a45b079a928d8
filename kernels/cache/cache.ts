import { byteSize, type DType, isFloat } from "../../src/ir/dtype.ts";
import type { BufferId } from "../../src/ir/program.ts";
import { cudaTypes, type Elements, type KernelCall, KernelEntry } from "../entry.ts";

const threads = 256;

export interface CacheWriteOp {
  /** Elements of [rows, rowSize] by flat index. Floats of any type are rounded to the cache's. */
  readonly x: Elements;
  /** [slots, rowSize]. */
  readonly cache: { readonly buffer: BufferId; readonly dtype: DType };
  readonly rowSize: number;
  readonly rows: number;
  /** i32[1]: slot of the first row. */
  readonly start: Elements;
  readonly label: string;
}

/** Rows stored into a cache from a slot on that the device knows. */
export function cacheWrite(op: CacheWriteOp): KernelCall {
  const { cache, rowSize, rows } = op;
  const type = cudaTypes[cache.dtype];
  const elements = rows * rowSize;
  const entry = new KernelEntry("cache");
  entry.reserve("i");
  const x = op.x(entry)("i");
  const start = op.start(entry)("0");
  const destination = entry.buffer("cache", cache.buffer, type, "update");
  const count = entry.i32("elements", elements);
  const value = isFloat(cache.dtype) ? `from_float<${type}>(to_float(${x}))` : x;
  return entry.finish({
    name: `cache_write_${rowSize}_${cache.dtype}`,
    comment: `Rows of ${rowSize} stored as ${cache.dtype} from a slot on.`,
    includes: ["kernels/cache/cache.cuh"],
    config: `constexpr int kRowSize = ${rowSize};`,
    body: `cache_write<kRowSize>(${destination}, ${start}, ${count}, [&](int i) { return ${value}; });`,
    threads,
    grid: [Math.ceil(elements / threads), 1, 1],
    label: op.label,
    traffic: {
      weightBytes: 0,
      readBytes: elements * 4,
      writtenBytes: elements * byteSize(cache.dtype),
      flops: 0,
    },
  });
}

export interface CacheCommitOp {
  /** Caches [slots, rowSize] by the type of their rows. */
  readonly groups: readonly {
    readonly caches: readonly BufferId[];
    readonly dtype: DType;
    readonly rowSize: number;
  }[];
  /** i32[pathLength]: accepted nodes, ascending, node i of the path at least i. */
  readonly path: Elements;
  /** i32[1]: accepted nodes. */
  readonly count: Elements;
  /** i32[1]: slot of node 0. */
  readonly length: Elements;
  readonly pathLength: number;
  readonly label: string;
}

/** Pointers of one launch: kernel parameters may take 4 KB. */
const pointersPerLaunch = 448;

/**
 * Slot length + i takes what slot length + path[i] held, i < count, in all caches: one launch, more
 * where the pointers are too many for the parameters of one. Rows are moved as bytes, so caches of
 * different types with rows of equal size are one group.
 */
export function cacheCommit(op: CacheCommitOp): KernelCall[] {
  const byRowBytes = new Map<number, BufferId[]>();
  for (const { caches, dtype, rowSize } of op.groups) {
    const rowBytes = rowSize * byteSize(dtype);
    byRowBytes.set(rowBytes, [...(byRowBytes.get(rowBytes) ?? []), ...caches]);
  }
  const all = [...byRowBytes].flatMap(([rowBytes, caches]) =>
    caches.map((cache) => ({ rowBytes, cache })),
  );
  const calls: KernelCall[] = [];
  for (let first = 0; first < all.length; first += pointersPerLaunch)
    calls.push(commit(op, all.slice(first, first + pointersPerLaunch)));
  return calls;
}

/** The widest access that divides a row. */
const units = [
  { bytes: 16, type: "Vec<u32, 4>" },
  { bytes: 8, type: "u64" },
  { bytes: 4, type: "u32" },
  { bytes: 2, type: "u16" },
] as const;

/** One launch: every table of caches has blocks of its own. `caches` are in order of row bytes. */
function commit(
  op: CacheCommitOp,
  caches: readonly { readonly rowBytes: number; readonly cache: BufferId }[],
): KernelCall {
  const entry = new KernelEntry("cache");
  entry.reserve("i", "count", "length", "path", "thread");
  const path = op.path(entry)("i");
  const count = op.count(entry)("0");
  const length = op.length(entry)("0");
  const config = [`constexpr int kPathLength = ${op.pathLength};`];
  const body = [
    `const int count = ${count};`,
    `const int length = ${length};`,
    `const auto path = [&](int i) { return ${path}; };`,
    `const int thread = static_cast<int>(blockIdx.x * ${threads} + threadIdx.x);`,
  ];
  const rowSizes = [...new Set(caches.map(({ rowBytes }) => rowBytes))];
  let blocks = 0;
  for (const rowBytes of rowSizes) {
    const buffers = caches.filter((item) => item.rowBytes === rowBytes).map(({ cache }) => cache);
    const unit = units.find(({ bytes }) => rowBytes % bytes === 0) ?? units[3];
    const rowUnits = rowBytes / unit.bytes;
    const table = entry.table(`caches_${rowBytes}`, buffers, unit.type, "update");
    const name = `kRowUnits${rowBytes}`;
    config.push(
      `constexpr int ${name} = ${rowUnits};  // ${unit.type} in a row of ${rowBytes} bytes`,
    );
    const past = blocks + Math.ceil((buffers.length * rowUnits) / threads);
    const own = blocks === 0 ? "thread" : `thread - ${blocks * threads}`;
    body.push(
      `${blocks === 0 ? "if" : "else if"} (blockIdx.x < ${past})`,
      `  cache_commit<${name}, kPathLength>(${table}, ${own}, path, count, length);`,
    );
    blocks = past;
  }
  const bytes = caches.reduce((sum, { rowBytes }) => sum + rowBytes, 0) * op.pathLength;
  return entry.finish({
    name: `cache_commit_${caches.length}x${rowSizes.join("_")}b_path${op.pathLength}`,
    comment: `Accepted rows of ${caches.length} caches moved down, paths of ${op.pathLength}.`,
    includes: ["kernels/cache/cache.cuh"],
    config: config.join("\n"),
    body: body.join("\n"),
    threads,
    grid: [blocks, 1, 1],
    label: op.label,
    traffic: { weightBytes: 0, readBytes: bytes, writtenBytes: bytes, flops: 0 },
  });
}

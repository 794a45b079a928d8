import { byteSize } from "../../src/ir/dtype.ts";
import { cudaTypes, type KernelEntry } from "../entry.ts";
import { tileCount } from "./tiling.ts";
import type { ElementwiseEpilogue, LinearOp, RopeCacheEpilogue, TopkEpilogue } from "./op.ts";

/** An epilogue's share of the kernel's text. */
export interface EpilogueText {
  /** For the kernel's name. */
  readonly name: string;
  readonly include: string;
  /** At file scope, after `struct Config`. */
  readonly config: string;
  /** The functor: an expression over the entry's parameters. */
  readonly functor: string;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** Registers what the epilogue reads and writes, and writes the functor that does it. */
export function epilogueText(op: LinearOp, entry: KernelEntry): EpilogueText {
  const { epilogue } = op;
  switch (epilogue.kind) {
    case "elementwise":
      return elementwise(op, epilogue, entry);
    case "rope-cache":
      return ropeCache(op, epilogue, entry);
    case "topk":
      return topk(op, epilogue, entry);
    default:
      return epilogue satisfies never;
  }
}

function elementwise(
  op: LinearOp,
  epilogue: ElementwiseEpilogue,
  entry: KernelEntry,
): EpilogueText {
  const tiles = tileCount(op);
  const { squares } = epilogue;
  const values = op.weights.map((_, i) => `values[${i}]`);
  const statements = epilogue.statements(entry, { row: "row", column: "column", values });
  const sums =
    squares === undefined ? "nullptr" : entry.buffer("squares", squares.buffer, "float", "write");
  return {
    name: `${epilogue.name}${squares === undefined ? "" : "_squares"}`,
    include: "kernels/linear/elementwise.cuh",
    config: "",
    functor: [
      `elementwise_epilogue<${squares === undefined ? 0 : tiles}>(`,
      `    [&](int row, int column, const float (&values)[${values.length}]) {`,
      ...statements
        .trim()
        .split("\n")
        .map((line) => `      ${line}`),
      `      return ${squares?.value ?? "0.0f"};`,
      `    }, ${sums})`,
    ].join("\n"),
    readBytes: epilogue.readBytes,
    writtenBytes: epilogue.writtenBytes + (squares === undefined ? 0 : op.rows * tiles * 4),
  };
}

function ropeCache(op: LinearOp, epilogue: RopeCacheEpilogue, entry: KernelEntry): EpilogueText {
  const { headDim, roles } = epilogue;
  const operand = {
    q: epilogue.q,
    k: epilogue.keys,
    v: epilogue.values,
  } as const;
  const width = (role: "q" | "k" | "v"): number => op.weights[roles.indexOf(role)]?.outputs ?? 0;
  const pointers = (["q", "k", "v"] as const).map((role) => {
    const given = operand[role];
    if (!roles.includes(role)) return { type: "float", pointer: "nullptr", bytes: 0 };
    if (given === undefined) throw new RangeError(`rope-cache: nowhere to store ${role}`);
    const type = cudaTypes[given.dtype];
    return {
      type,
      pointer: entry.buffer({ q: "q", k: "keys", v: "values" }[role], given.buffer, type, "write"),
      bytes: op.rows * width(role) * byteSize(given.dtype),
    };
  });
  const [query, key, value] = pointers;
  const cached = width("k") || width("v");
  if (cached > 0 && epilogue.start === undefined) {
    throw new RangeError("rope-cache: k and v need the slot of row 0");
  }
  const frequencies = entry.buffer("inv_freq", epilogue.inverseFrequencies, "float", "read");
  const position = epilogue.positions(entry)("row");
  const start = epilogue.start?.(entry)("0") ?? "0";
  const names = { q: "Role::kQuery", k: "Role::kKey", v: "Role::kValue" } as const;
  const choice = roles
    .map((role, i) => (i < roles.length - 1 ? `weight == ${i} ? ${names[role]} : ` : names[role]))
    .join("");
  return {
    name: `rope_cache_${roles.join("")}`,
    include: "kernels/linear/rope-cache.cuh",
    config: `
struct Rope {
  static constexpr int kHeadDim = ${headDim};
  static constexpr int kQueryWidth = ${width("q")};
  static constexpr int kCacheWidth = ${cached};
  using Query = ${query?.type ?? "float"};
  using Key = ${key?.type ?? "float"};
  using Value = ${value?.type ?? "float"};
  DEVICE static constexpr Role role(int weight) { return ${choice}; }
};`,
    functor: [
      `rope_cache<Rope>(${pointers.map(({ pointer }) => pointer).join(", ")}, ${frequencies}, ${start},`,
      `    [&](int row) { return ${position}; })`,
    ].join("\n"),
    readBytes: op.rows * 4 + headDim * 2,
    writtenBytes: pointers.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function topk(op: LinearOp, epilogue: TopkEpilogue, entry: KernelEntry): EpilogueText {
  const { k, logits } = epilogue;
  const [weight] = op.weights;
  if (weight === undefined || op.weights.length !== 1) {
    throw new RangeError(`topk takes one weight, not ${op.weights.length}`);
  }
  if (!Number.isInteger(k) || k < 1 || k > 64) throw new RangeError(`top-${k}: k is 1 to 64`);
  const tiles = tileCount(op);
  const values = entry.buffer("partial_values", epilogue.partialValues, "float", "write");
  const ids = entry.buffer("partial_ids", epilogue.partialIds, "int", "write");
  let stored = "static_cast<float*>(nullptr)";
  if (logits !== undefined) {
    stored = entry.buffer("logits", logits.buffer, "float", "write");
    if (logits.when !== undefined) stored = `(${logits.when(entry)}) ? ${stored} : nullptr`;
  }
  return {
    name: `top${k}${logits === undefined ? "" : "_logits"}`,
    include: "kernels/linear/topk.cuh",
    config: "",
    functor: `topk_epilogue<${k}, ${tiles}, ${weight.outputs}>(${values}, ${ids}, [&]() -> float* { return ${stored}; })`,
    readBytes: 0,
    // Logits that are stored on a condition count as stored.
    writtenBytes: op.rows * (tiles * k * 8 + (logits === undefined ? 0 : 4 * weight.outputs)),
  };
}

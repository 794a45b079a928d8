import { byteSize } from "../../src/ir/dtype.ts";
import type { Target } from "../../src/ir/program.ts";
import { weightBytes } from "../../src/ir/weight-layout.ts";
import { type Allocator, cudaTypes, floatLiteral, type KernelCall, KernelEntry } from "../entry.ts";
import { chooseConfig, tunableLinear } from "./candidates.ts";
import type { LinearConfig } from "./config.ts";
import {
  headTile,
  isFull,
  isMerged,
  maxFusedHeadTile,
  tileCount,
  weightsBeside,
} from "./tiling.ts";
import { epilogueText } from "./epilogues.ts";
import type { LinearOp } from "./op.ts";

export type {
  ElementwiseEpilogue,
  LinearEpilogue,
  LinearOp,
  LinearShape,
  LinearWeight,
  Operand,
  RopeCacheEpilogue,
  TopkEpilogue,
} from "./op.ts";

/** Names of the main loops. */
const loops = { fma: "cuda-cores", mma: "tensor-cores", wgmma: "warpgroups" } as const;

/**
 * The kernel of a linear layer. A row's bits depend neither on the number of rows nor on the target's
 * multiprocessors: parts of the inputs are summed in an order that `inputs` alone decides.
 * Workspace and counters come from `memory`.
 * @throws RangeError for operands that do not fit each other.
 */
export function linear(op: LinearOp, target: Target, memory: Allocator): KernelCall[] {
  const { x, inputs, rows, weights, rowScale } = op;
  const type = check(op);
  const config = chooseConfig(op, rows, target);
  const tiles = tileCount(op);
  const gridTiles = Math.ceil(tiles / config.blockTiles);
  const rowTiles = wholeClusters(Math.ceil(rows / config.rowTile), config.clusterRows);

  const entry = new KernelEntry("linear");
  entry.reserve("row", "column", "weight", "output", "values", "bias_of", "epilogue");
  const pointers = weights.map(({ buffer }) => buffer);
  const table = entry.table("weights", pointers, cudaTypes[type], "read");
  const input =
    config.instruction === "wgmma" && x.dtype !== "f32"
      ? entry.tensorMap("x", x.buffer, {
          dtype: x.dtype,
          rows,
          columns: inputs,
          boxRows: config.rowTile / config.clusterOutputs,
        })
      : entry.buffer("x", x.buffer, cudaTypes[x.dtype], "read");
  const count = entry.i32("rows", rows);
  const sums =
    rowScale === undefined ? "nullptr" : entry.buffer("sums", rowScale.sums, "float", "read");
  const bias = weights.map((weight) =>
    weight.bias === undefined
      ? undefined
      : entry.buffer("bias", weight.bias.buffer, cudaTypes[weight.bias.dtype], "read"),
  );
  const args = [table, input, count, sums];
  if (config.instruction === "mma")
    args.push(...splitMemory(op, config, rowTiles * gridTiles, entry, memory));
  const epilogue = epilogueText(op, entry);

  const loop = loops[config.instruction];
  const shape = `${weights.map(({ outputs }) => outputs).join("_")}x${inputs}`;
  const scaled = rowScale === undefined ? "" : "_scaled";
  const totalOutputs = weights.reduce((total, { outputs }) => total + outputs, 0);
  const biasBytes = weights.map((weight) =>
    weight.bias === undefined ? 0 : weight.outputs * byteSize(weight.bias.dtype),
  );
  return [
    entry.finish({
      name: `linear_${shape}_${type}_r${config.rowTile}${scaled}_${epilogue.name}`,
      comment: comment(op, config, epilogue.name),
      includes: [`kernels/linear/linear-${loop}.cuh`, epilogue.include],
      config: `${configText(op, type, config)}\n${epilogue.config}`,
      prologue: config.bulk
        ? `start_weights<Config>(${config.instruction === "wgmma" ? `${table}, ${input}` : table}, ${count});`
        : undefined,
      body: [
        `const auto bias_of = [&](int weight, int output) { return ${biasText(bias)}; };`,
        `const auto epilogue = ${epilogue.functor};`,
        `linear_${loop.replace("-", "_")}<Config>(${args.join(", ")}, bias_of, epilogue);`,
      ].join("\n"),
      threads: config.threads,
      minBlocks: config.resident,
      cluster: clusterOf(config),
      sharedBytes: sharedBytes(op, config),
      // An epilogue's loads would otherwise wait for its stores, output by output.
      restrict: true,
      grid: [rowTiles, config.split, gridTiles],
      label: op.label,
      traffic: {
        weightBytes: weights.reduce(
          (bytes, { dtype, outputs }) => bytes + weightBytes(dtype, [outputs, inputs]),
          0,
        ),
        readBytes:
          rows * inputs * byteSize(x.dtype) +
          biasBytes.reduce((sum, bytes) => sum + bytes, 0) +
          (rowScale === undefined ? 0 : rows * rowScale.parts * 4) +
          epilogue.readBytes,
        writtenBytes: epilogue.writtenBytes,
        flops: 2 * rows * totalOutputs * inputs,
      },
      tunable: tunableLinear(op, rows, target),
    }),
  ];
}

/** False when a head of this size cannot be rotated in the epilogue. */
export function canFuseRope(headDim: number): boolean {
  return headDim % 2 === 0 && headTile(headDim) <= maxFusedHeadTile;
}

/** The weights' type. */
function check(op: LinearOp): LinearOp["x"]["dtype"] {
  const { x, weights, epilogue } = op;
  const [first] = weights;
  if (first === undefined) throw new RangeError("a linear layer needs a weight");
  for (const { dtype, outputs } of weights) {
    if (dtype !== first.dtype) {
      throw new RangeError(`weights of ${first.dtype} and ${dtype} do not go into one kernel`);
    }
    if (epilogue.kind === "elementwise" && outputs !== first.outputs) {
      throw new RangeError(`weights side by side have ${first.outputs} and ${outputs} outputs`);
    }
  }
  if (x.dtype !== "f32" && x.dtype !== first.dtype) {
    throw new RangeError(`tensor cores do not multiply ${x.dtype} with ${first.dtype}`);
  }
  if (epilogue.kind === "rope-cache") {
    const { headDim, roles } = epilogue;
    if (!canFuseRope(headDim)) throw new RangeError(`heads of ${headDim} do not fit a tile`);
    if (roles.length !== weights.length) throw new RangeError("rope-cache: a role for each weight");
    if (weights.some(({ outputs }) => outputs % headDim !== 0)) {
      throw new RangeError(`rope-cache: outputs are no multiple of a head's ${headDim}`);
    }
  }
  return first.dtype;
}

/** Partial sums of blocks that share the inputs, and how many have come. */
function splitMemory(
  op: LinearOp,
  { split, cluster, rowTile, tileOutputs, blockTiles }: LinearConfig,
  blocks: number,
  entry: KernelEntry,
  memory: Allocator,
): string[] {
  if (split === 1 || cluster) return ["nullptr", "nullptr"];
  const { label } = op;
  const bytes = 4 * blocks * split * rowTile * tileOutputs * blockTiles * weightsBeside(op);
  return [
    entry.buffer("workspace", memory.scratch(bytes, `${label} parts`), "float", "update"),
    entry.buffer("counters", memory.counters(blocks, `${label} blocks`), "int", "update"),
  ];
}

/** Blocks past the rows multiply zeros and store nothing. */
function wholeClusters(blocks: number, clusterBlocks: number): number {
  return Math.ceil(blocks / clusterBlocks) * clusterBlocks;
}

function clusterOf(config: LinearConfig): readonly [number, number, number] | undefined {
  const { clusterRows, cluster, split, clusterOutputs } = config;
  const blocks = [clusterRows, cluster ? split : 1, clusterOutputs] as const;
  return blocks.some((extent) => extent > 1) ? blocks : undefined;
}

/** Barriers (one for each stage of each ring, with wgmma two), factors of the rows, rings. */
function sharedBytes({ rowScale }: LinearOp, config: LinearConfig): number {
  const { instruction, bulk, stages, warpsK, rowTile } = config;
  const scales = rowScale === undefined ? 0 : Math.ceil((4 * rowTile) / 16) * 16;
  if (instruction === "wgmma")
    return Math.ceil((16 * stages + scales) / 1024) * 1024 + config.sharedBytes;
  const barriers = bulk ? Math.ceil((8 * stages * warpsK) / 16) * 16 : 0;
  return barriers + scales + config.sharedBytes;
}

function biasText(bias: readonly (string | undefined)[]): string {
  const values = bias.map((name) => (name === undefined ? "0.0f" : `to_float(${name}[output])`));
  const [first = "0.0f"] = values;
  if (values.every((value) => value === first)) return first;
  return values
    .map((value, i) => (i < values.length - 1 ? `weight == ${i} ? ${value} : ` : value))
    .join("");
}

function comment({ x, inputs, weights }: LinearOp, config: LinearConfig, name: string): string {
  const shapes = weights.map(({ outputs }) => `[${outputs}, ${inputs}]`).join(", ");
  const shared =
    config.split > 1
      ? `each block one of ${config.split} parts of the inputs`
      : config.warpsK > 1
        ? `${config.warpsK} groups of warps share the inputs`
        : "each block all inputs";
  return `${x.dtype} rows of ${inputs} times weights ${shapes}, up to ${config.rowTile} rows to a block; ${name}.
${config.tileOutputs * config.blockTiles} outputs to a block, ${shared}.`;
}

/** Of a layer with wgmma: nothing in it is conditional. */
function isWhole(op: LinearOp, config: LinearConfig): boolean {
  const { tileOutputs, blockTiles, warpsOutputs } = config;
  const blockOutputs = tileOutputs * blockTiles;
  return isFull(op, blockOutputs) && ((weightsBeside(op) * blockOutputs) / 16) % warpsOutputs === 0;
}

function configText(op: LinearOp, type: LinearOp["x"]["dtype"], config: LinearConfig): string {
  const { weights, rowScale } = op;
  const merged = isMerged(op);
  const outputs = merged ? weights.map((weight) => weight.outputs) : [weights[0]?.outputs ?? 0];
  const outputsText = outputs
    .map((count, i) => (i < outputs.length - 1 ? `weight == ${i} ? ${count} : ` : `${count}`))
    .join("");
  const constants: Record<string, number | boolean> = {
    kInputs: op.inputs,
    kWeights: merged ? 1 : weights.length,
    kMerged: merged ? weights.length : 1,
    kPointers: weights.length,
    kTileOutputs: config.tileOutputs,
    kBlockTiles: config.blockTiles,
    kRows: config.rowTile,
    kWarpsK: config.warpsK,
    ...(config.instruction === "wgmma" && {
      kWarpgroups: config.warpsOutputs / 4,
      kParts: config.parts,
      kSplit: config.split,
      kCluster: config.cluster,
      kClusterRows: config.clusterRows,
      kClusterOutputs: config.clusterOutputs,
      kStages: config.stages,
      kWhole: isWhole(op, config),
    }),
    ...(config.instruction === "mma" && {
      kWarpsOutputs: config.warpsOutputs,
      kWarpsRows: config.warpsRows,
      kParts: config.parts,
      kSplit: config.split,
      kCluster: config.cluster,
      kStages: config.stages,
      kBulk: config.bulk,
    }),
    kBias: weights.some(({ bias }) => bias !== undefined),
    kScaleParts: rowScale?.parts ?? 0,
  };
  const lines = Object.entries(constants).map(
    ([name, value]) =>
      `  static constexpr ${typeof value === "boolean" ? "bool" : "int"} ${name} = ${value};`,
  );
  if (rowScale !== undefined) {
    lines.push(
      `  static constexpr float kScaleWidth = ${floatLiteral(rowScale.width)};`,
      `  static constexpr float kScaleEps = ${floatLiteral(rowScale.eps)};`,
    );
  }
  return [
    "struct Config {",
    `  using Weight = ${cudaTypes[type]};`,
    ...lines,
    `  DEVICE static constexpr int outputs(int weight) { return ${outputsText}; }`,
    "};",
  ].join("\n");
}

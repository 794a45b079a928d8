import type { Target, Tunable } from "../../src/ir/program.ts";
import {
  fitsBlock,
  type LinearConfig,
  type LinearCut,
  rowTileBucket,
  sharedPerMultiprocessor,
  widestRowTile,
} from "./config.ts";
import { configure, cutConfig } from "./configure.ts";
import { widestBlock } from "./configure-mma.ts";
import { inputParts, tileCount, tileOutputs, usesTensorCores, weightsBeside } from "./tiling.ts";
import type { LinearShape } from "./op.ts";

/** More would take a tuner long and hardly find anything. */
const mostCandidates = 12;

/**
 * Configurations of a layer that give every row the same bits, the usual one first; at most 12, all
 * of which compile, fit a multiprocessor and keep their sums in registers. They differ in who
 * computes what and when; parts of the inputs, their order and the tiles an epilogue sees are the
 * layer's alone. f32 layers have one: their warps decide the order of sums.
 */
export function linearCandidates(
  shape: LinearShape,
  rows: number,
  target: Target,
): readonly LinearConfig[] {
  const usual = configure(shape, rows, target);
  if (!usesTensorCores(shape)) return [usual];
  const found = new Map([[configName(usual), usual]]);
  for (const cut of cuts(shape, rows, usual)) {
    const config = cutConfig(shape, rows, target, cut);
    // A ring of two stages stands still while one is multiplied.
    const isDeep = config.stages >= Math.min(3, usual.stages);
    if (isDeep && isAdmissible(config, shape, target)) found.set(configName(config), config);
    if (found.size === mostCandidates) break;
  }
  return [...found.values()];
}

/** The configuration `target.tuning` names for the layer; the usual one where it names none there is. */
export function chooseConfig(shape: LinearShape, rows: number, target: Target): LinearConfig {
  const wanted = target.tuning?.choices[tuningKey(shape, rows, target)];
  const usual = configure(shape, rows, target);
  if (wanted === undefined || wanted === configName(usual)) return usual;
  const candidates = linearCandidates(shape, rows, target);
  return candidates.find((config) => configName(config) === wanted) ?? usual;
}

/** What a tuner has to know of a layer; undefined where there is nothing to choose. */
export function tunableLinear(
  shape: LinearShape,
  rows: number,
  target: Target,
): Tunable | undefined {
  const candidates = linearCandidates(shape, rows, target).map(configName);
  if (candidates.length < 2) return undefined;
  const key = tuningKey(shape, rows, target);
  return { key, candidates, chosen: configName(chooseConfig(shape, rows, target)) };
}

/**
 * Names a layer in a tuning: architecture, types and extents, kind of epilogue, and rows as far as
 * configurations depend on them.
 */
export function tuningKey(
  { x, inputs, weights, epilogue }: LinearShape,
  rows: number,
  { arch }: Target,
): string {
  const rowTile = widestRowTile(rows);
  const outputs = weights.map((weight) => weight.outputs).join("+");
  const head = epilogue.headDim === undefined ? "" : `:${epilogue.headDim}`;
  return `linear ${arch} ${x.dtype} ${outputs}x${inputs} ${epilogue.kind}${head} rows ${rowTile}x${rowTileBucket(rows, rowTile)}`;
}

/** Says all of a configuration that candidates of one layer differ in. */
export function configName(config: LinearConfig): string {
  const { tileOutputs: outputs, blockTiles, rowTile, split, cluster, bulk } = config;
  const { clusterRows, clusterOutputs } = config;
  const { warpsOutputs, warpsRows, warpsK, stages, resident } = config;
  return [
    `${outputs * blockTiles} outputs`,
    `${rowTile} rows`,
    `split ${split}${cluster ? " in clusters" : ""}`,
    ...(clusterRows * clusterOutputs > 1 ? [`copies for ${clusterRows}x${clusterOutputs}`] : []),
    `warps ${warpsOutputs}x${warpsRows}x${warpsK}`,
    `stages ${stages}`,
    `resident ${resident}`,
    ...(config.instruction === "wgmma" ? ["wgmma"] : bulk ? ["bulk"] : []),
  ].join(", ");
}

/** What is worth a try, the likeliest first. */
function cuts(shape: LinearShape, rows: number, usual: LinearConfig): readonly LinearCut[] {
  const parts = inputParts(shape.inputs);
  const first: LinearCut = {
    rowTile: usual.rowTile,
    blockTiles: usual.blockTiles,
    parts: usual.split > 1 ? "blocks" : usual.warpsK > 1 ? "warps" : "block",
    cluster: true,
    bulk: true,
    warpTiles: 2,
  };
  if (usual.instruction === "wgmma") return warpgroupCuts(shape, rows, usual, first);
  const all: LinearCut[] = [];
  const add = (change: Partial<LinearCut>): void => {
    all.push({ ...first, ...change });
  };
  // Who sums the parts decides how many blocks there are, and how long each one's chain of copies is.
  if (parts > 1) {
    for (const who of ["block", "blocks", "warps"] as const) {
      const blockTiles = Math.min(tileCount(shape), widestBlock(shape));
      add({ parts: who, blockTiles: who === "warps" ? 1 : blockTiles });
    }
  }
  // A block more beside it hides a block's beginning and end, a longer ring hides memory's latency.
  for (const resident of [1, 2, 3]) add({ resident });
  // Narrower blocks spread evenly over the multiprocessors, and read activations more often.
  for (let tiles = usual.blockTiles >> 1; tiles >= 1; tiles >>= 1) add({ blockTiles: tiles });
  for (const warpTiles of [1, 4]) add({ warpTiles });
  for (const stages of [usual.stages - 1, usual.stages - 2]) if (stages >= 3) add({ stages });
  add({ cluster: false });
  add({ bulk: false });
  // Smaller tiles of rows make more blocks of a prompt; the weights come from L2 for all but one.
  if (rows > 64) for (const rowTile of [128, 64, 32]) add({ rowTile, resident: 2 });
  return all;
}

/** As `cuts`, with wgmma: who sums, who shares copies, how many blocks and how long a ring. */
function warpgroupCuts(
  shape: LinearShape,
  rows: number,
  usual: LinearConfig,
  like: LinearCut,
): readonly LinearCut[] {
  const { clusterRows, clusterOutputs, stages } = usual;
  const first: LinearCut = { ...like, clusterRows, clusterOutputs };
  const all: LinearCut[] = [];
  const add = (change: Partial<LinearCut>): void => {
    all.push({ ...first, ...change });
  };
  if (inputParts(shape.inputs) > 1)
    for (const parts of ["block", "blocks"] as const) add({ parts });
  for (const resident of [1, 2, 3]) add({ resident });
  for (const shared of [1, 2, 4]) add({ clusterOutputs: shared });
  if (rows > 64) for (const shared of [1, 4]) add({ clusterRows: shared });
  for (let tiles = usual.blockTiles >> 1; tiles >= 1; tiles >>= 1) add({ blockTiles: tiles });
  for (const fewer of [stages - 1, stages - 2]) if (fewer >= 3) add({ stages: fewer });
  if (rows > 64) {
    const wide = Math.min(tileCount(shape), widestBlock(shape));
    for (const shared of [2, 4]) add({ blockTiles: wide, clusterOutputs: shared, resident: 1 });
    add({ rowTile: 64, resident: 2 });
  }
  return all;
}

/** Of multiprocessors: registers of 32 bits, and threads of the architectures that hold the fewest. */
const registers = 65536;
const mostThreads = 1536;
/** Of a thread, beside sums, fragments of weights and copies: addresses, counters, the epilogue. */
const otherRegisters = 80;
/** The same where a producer copies: consumers keep no addresses of copies. */
const warpgroupRegisters = 48;
/** Of shared memory: barriers and factors of rows beside the ring, and the system's 1 KB. */
const besideRing = 2 * 1024;

/** What tensor-cores.cuh asserts, and what it would be pointless to try. */
function isAdmissible(config: LinearConfig, shape: LinearShape, target: Target): boolean {
  const { rowTile, parts, split, warpsOutputs, warpsRows, warpsK, resident, threads } = config;
  const blockM = (weightsBeside(shape) * tileOutputs(shape) * config.blockTiles) / 16;
  const shared = resident * (config.sharedBytes + besideRing);
  if (config.instruction === "wgmma") {
    const m = Math.ceil(blockM / warpsOutputs);
    const sums = ((m * rowTile) / 2) * (parts > split ? 2 : 1);
    return (
      fitsBlock(config, target) &&
      shared <= sharedPerMultiprocessor(target.capability) &&
      sums + 16 * m + warpgroupRegisters <= registersOfThread(threads * resident)
    );
  }
  if (blockM % warpsOutputs !== 0 || rowTile % (8 * warpsRows) !== 0) return false;
  if ((blockM * 4) % (warpsOutputs * warpsRows) !== 0) return false;
  if (!fitsBlock(config, target) || shared > sharedPerMultiprocessor(target.capability))
    return false;
  const m = blockM / warpsOutputs;
  const sums = 4 * m * (rowTile / 8 / warpsRows) * (parts > split * warpsK ? 2 : 1);
  // The block that comes last holds the parts of one fragment of each of its tiles.
  const gathered = split > 1 && !config.cluster ? Math.max(64, 4 * m * split) : 0;
  // Copies are unrolled: 16 bytes each, an address in two registers.
  const copies = (rowTile / 4 + blockM * 4) / (warpsOutputs * warpsRows);
  const needed = sums + Math.max(gathered, 8 * m) + 2 * copies + otherRegisters;
  return needed <= registersOfThread(threads * resident) && threads * resident <= mostThreads;
}

/** Of each of so many threads on a multiprocessor; allotted in eights. */
function registersOfThread(threads: number): number {
  return Math.min(255, Math.floor(registers / threads / 8) * 8);
}

import type { Target } from "../../src/ir/program.ts";
import { fitsBlock, type LinearConfig, type LinearCut, widestRowTile } from "./config.ts";
import { tensorCoreConfig, usualCut } from "./configure-mma.ts";
import { usualWarpgroupCut, warpgroupConfig } from "./configure-wgmma.ts";
import type { LinearShape } from "./op.ts";
import { tileOutputs, usesTensorCores, usesWarpgroups, weightsBeside } from "./tiling.ts";

/** How a layer is cut without measurements: what is likely the fastest. */
export function configure(shape: LinearShape, rows: number, target: Target): LinearConfig {
  return usesTensorCores(shape)
    ? configureTensorCores(shape, rows, target)
    : configureCudaCores(shape, rows);
}

function configureTensorCores(shape: LinearShape, rows: number, target: Target): LinearConfig {
  for (let rowTile = widestRowTile(rows); ; rowTile /= 2) {
    const cut = usesWarpgroups(shape, target)
      ? usualWarpgroupCut(shape, rows, rowTile, target)
      : usualCut(shape, rows, rowTile, target);
    const config = cutConfig(shape, rows, target, cut);
    if (fitsBlock(config, target) || rowTile === 8) return config;
  }
}

/** The configuration a cut leads to. `cluster` and `bulk` are used where they are possible. */
export function cutConfig(
  shape: LinearShape,
  rows: number,
  target: Target,
  cut: LinearCut,
): LinearConfig {
  const config = usesWarpgroups(shape, target) ? warpgroupConfig : tensorCoreConfig;
  return config(shape, rows, target, cut);
}

function configureCudaCores(shape: LinearShape, rows: number): LinearConfig {
  const outputs = tileOutputs(shape);
  const beside = weightsBeside(shape);
  const rowTile = rows <= 1 ? 1 : rows <= 2 ? 2 : rows <= 4 ? 4 : 8;
  const warpsK = 4;
  return {
    instruction: "fma",
    clusterRows: 1,
    clusterOutputs: 1,
    tileOutputs: outputs,
    blockTiles: 1,
    rowTile,
    parts: 1,
    split: 1,
    cluster: false,
    warpsOutputs: 1,
    warpsRows: 1,
    warpsK,
    stages: 1,
    bulk: false,
    threads: 32 * warpsK,
    resident: 4,
    sharedBytes: 4 * warpsK * beside * rowTile * (outputs + 4),
  };
}

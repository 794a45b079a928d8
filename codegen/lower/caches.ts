import { cacheCommit, cacheWrite } from "../../kernels/cache/cache.ts";
import type { KernelCall } from "../../kernels/entry.ts";
import { type Group, nodeOf } from "../fused-graph.ts";
import { groupLabel, type LoweringContext } from "./context.ts";
import { elementsOfValue } from "./expression.ts";

export function lowerCacheWrite(context: LoweringContext, group: Group): readonly KernelCall[] {
  const { operands } = nodeOf(group, "cache_write");
  const [cache = -1, x = -1, start = -1] = operands;
  const [rows = 1, ...row] = context.shapeOf(x);
  return [
    cacheWrite({
      x: elementsOfValue(context, x),
      cache: { buffer: context.buffer(cache), dtype: context.typeOf(cache).dtype },
      rowSize: row.reduce((product, dim) => product * dim, 1),
      rows,
      start: elementsOfValue(context, start),
      label: groupLabel(group.nodes),
    }),
  ];
}

export function lowerCacheCommit(context: LoweringContext, group: Group): readonly KernelCall[] {
  const { operands } = nodeOf(group, "cache_commit");
  const [, path = -1, count = -1, length = -1] = operands;
  return cacheCommit({
    groups: group.nodes.map(({ operands: [cache = -1] }) => {
      const [, ...row] = context.shapeOf(cache);
      return {
        caches: [context.buffer(cache)],
        dtype: context.typeOf(cache).dtype,
        rowSize: row.reduce((product, dim) => product * dim, 1),
      };
    }),
    path: elementsOfValue(context, path),
    count: elementsOfValue(context, count),
    length: elementsOfValue(context, length),
    pathLength: context.analysis.elements(path),
    label:
      group.nodes.length > 2 ? `commit of ${group.nodes.length} caches` : groupLabel(group.nodes),
  });
}

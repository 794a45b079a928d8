import { canFuseRope } from "../../kernels/linear/linear.ts";
import type { Node, ValueId } from "../../src/ir/graph.ts";
import { Analysis, inOrder } from "../analysis.ts";
import type { FusedGraph, Group } from "../fused-graph.ts";

/** A projection with what turns its result into queries, cached keys or cached values. */
export interface RopeRole {
  readonly role: "q" | "k" | "v";
  readonly linear: Node;
  readonly rope: Extract<Node, { op: "rope" }> | undefined;
  readonly write: Extract<Node, { op: "cache_write" }> | undefined;
  /** What is stored of queries: the rotated rows, rounded if the cache is 16-bit. */
  readonly stored: ValueId | undefined;
  readonly nodes: readonly Node[];
}

/**
 * Merges the projections of one activation into one product whose epilogue rotates queries and keys
 * and stores keys and values in their cache slots: q, k and v never exist before they are rotated.
 */
export function fuseRopeCache(fused: FusedGraph): FusedGraph {
  const analysis = new Analysis(fused);
  const taken = new Set<Node>();
  for (const anchor of fused.graph.nodes) {
    if (anchor.op !== "linear" || taken.has(anchor)) continue;
    const roles = siblings(analysis, anchor)
      .filter((linear) => !taken.has(linear))
      .flatMap((linear) => roleOf(analysis, linear) ?? []);
    const merged = compatible(analysis, roles);
    if (merged.length === 0) continue;
    const members = new Set(merged.flatMap(({ nodes }) => nodes));
    const position = Math.max(...merged.map(({ linear }) => analysis.index(linear)));
    if (!canRun(analysis, merged, position)) continue;
    for (const node of members) taken.add(node);
    const replaced = [...members].flatMap((node) => analysis.groupOf(node) ?? []);
    analysis.replace(replaced, {
      kind: "rope_linear",
      nodes: inOrder(analysis, members),
      position,
    });
  }
  return analysis.fused();
}

/** The roles in a fused group, q, k, v. */
export function ropeRoles(analysis: Analysis, group: Group): readonly RopeRole[] {
  const roles = group.nodes.flatMap((node) =>
    node.op === "linear" ? (roleOf(analysis, node) ?? []) : [],
  );
  return roles.sort((a, b) => (a.role < b.role ? -1 : 1)).sort(byRole);
}

const order = { q: 0, k: 1, v: 2 };
const byRole = (a: RopeRole, b: RopeRole): number => order[a.role] - order[b.role];

function siblings(analysis: Analysis, linear: Node): readonly Node[] {
  return analysis
    .users(linear.operands[0] ?? -1)
    .filter((user) => user.op === "linear" && user.operands[0] === linear.operands[0]);
}

function roleOf(analysis: Analysis, linear: Node): RopeRole | undefined {
  const [view, ...others] = analysis.users(linear.results[0] ?? -1);
  if (view?.op !== "reshape" || others.length > 0 || analysis.isKept(linear.results[0] ?? -1))
    return undefined;
  const heads = view.results[0] ?? -1;
  const [user, ...more] = analysis.users(heads);
  if (user === undefined || more.length > 0 || analysis.isKept(heads)) return undefined;
  if (user.op === "cache_write" && user.operands[1] === heads) {
    return {
      role: "v",
      linear,
      rope: undefined,
      write: user,
      stored: undefined,
      nodes: [linear, view, user],
    };
  }
  if (user.op !== "rope" || user.operands[0] !== heads) return undefined;
  const rotated = user.results[0] ?? -1;
  const [next, ...rest] = analysis.users(rotated);
  if (next?.op === "cache_write" && next.operands[1] === rotated && rest.length === 0) {
    if (analysis.isKept(rotated)) return undefined;
    return {
      role: "k",
      linear,
      rope: user,
      write: next,
      stored: undefined,
      nodes: [linear, view, user, next],
    };
  }
  const narrowed = next?.op === "cast" && rest.length === 0 && !analysis.isKept(rotated);
  return {
    role: "q",
    linear,
    rope: user,
    write: undefined,
    stored: narrowed ? next.results[0] : rotated,
    nodes: narrowed ? [linear, view, user, next] : [linear, view, user],
  };
}

/** At most one of each role; all that rotate do so alike; keys and values go to the same slots. */
function compatible(analysis: Analysis, roles: readonly RopeRole[]): readonly RopeRole[] {
  const first = roles.find(({ rope }) => rope !== undefined);
  if (first?.rope === undefined) return [];
  const headDim = Number(analysis.graph.types[first.rope.results[0] ?? -1]?.shape[2]);
  if (!canFuseRope(headDim)) return [];
  const [, positions, frequencies] = first.rope.operands;
  const weightType = (role: RopeRole) => analysis.graph.types[role.linear.operands[1] ?? -1]?.dtype;
  const start = roles.find(({ write }) => write !== undefined)?.write?.operands[2];
  const chosen = new Map<string, RopeRole>();
  for (const role of roles) {
    const fits =
      !chosen.has(role.role) &&
      weightType(role) === weightType(first) &&
      (role.rope === undefined ||
        (role.rope.operands[1] === positions && role.rope.operands[2] === frequencies)) &&
      (role.write === undefined || role.write.operands[2] === start);
    if (fits) chosen.set(role.role, role);
  }
  // Values alone gain nothing from heads being whole.
  if (!chosen.has("k")) chosen.delete("v");
  return [...chosen.values()].sort(byRole);
}

function canRun(analysis: Analysis, roles: readonly RopeRole[], position: number): boolean {
  return roles.every(({ rope, write }) => {
    const needed = [
      ...(rope?.operands.slice(1) ?? []),
      ...(write ? [write.operands[2] ?? -1] : []),
    ];
    if (needed.some((value) => analysis.readyAt(value) >= position)) return false;
    return write === undefined || analysis.mayWriteAt(write.operands[0] ?? -1, write, position);
  });
}

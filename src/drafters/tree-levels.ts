import type { GraphBuilder, Value } from "../ir/builder.ts";
import type { DraftLevel } from "../speculation/draft-levels.ts";
import type { DraftStep } from "../speculation/drafter.ts";

/**
 * Tokens of a level's children i32[children] from the logits f32[parents, V] of its parents. With
 * `shared` one row of logits serves every parent (heads that do not look at the path).
 */
export function childTokens(
  b: GraphBuilder,
  level: DraftLevel,
  logits: Value,
  shared = false,
): Value {
  const { ids } = b.topk(logits, level.beam, "candidates");
  const flat = b.reshape(ids, (shared ? 1 : level.expanded.length) * level.beam);
  const picks = Array.from(
    level.ranks,
    (rank, child) => (shared ? 0 : (level.parentRows[child] ?? 0) * level.beam) + rank,
  );
  return b.gather(flat, b.constant("i32", picks), "tokens");
}

/** Rows of `parents` (one per expanded node of `level`) for the expanded nodes of the next level. */
export function parentRows(b: GraphBuilder, next: DraftLevel, parents: Value): Value {
  return b.gather(parents, b.constant("i32", Array.from(next.expandedParentRows)), "parent_rows");
}

/**
 * Of the tokens i32[children] of `level`, those that the next level expands; the known ones where
 * the step has a `path`.
 */
export function expandedTokens(
  b: GraphBuilder,
  level: DraftLevel,
  next: DraftLevel,
  children: Value,
  { path }: Pick<DraftStep, "path"> = {},
): Value {
  if (path !== undefined) {
    const known = Array.from(next.expanded, () => level.depth);
    return b.gather(path, b.constant("i32", known), "expanded_tokens");
  }
  const indices = Array.from(next.expanded, (node) => level.children.indexOf(node));
  return b.gather(children, b.constant("i32", indices), "expanded_tokens");
}

/** Places of a tree's nodes, root on the left: a column per depth, rows in units of one node. */
export interface TreeLayout {
  /** By node, from 0. */
  readonly rows: readonly number[];
  readonly rowCount: number;
  readonly columnCount: number;
}

/** A subtree's outline relative to its root's row: least and greatest row at each depth below. */
interface Outline {
  readonly least: number[];
  readonly greatest: number[];
}

/**
 * A tidy drawing: subtrees are moved together until they touch at some depth (Reingold and Tilford,
 * "Tidier drawings of trees", 1981), so that leaves fill the room beside deeper siblings.
 * @param parents by node, parents before children; the root's is -1.
 * @param align where a parent stands: in the middle of its children, or beside the first of them,
 *   which puts the path of first choices on one line at the top.
 */
export function treeLayout(
  parents: readonly number[],
  depths: readonly number[],
  align: "middle" | "first" = "middle",
): TreeLayout {
  const children = childrenOf(parents);
  const shifts = parents.map(() => 0);
  const outlines: Outline[] = [];
  for (let node = parents.length - 1; node >= 0; node--) {
    outlines[node] = place(children[node] ?? [], outlines, shifts, align);
  }
  const rows = parents.map(() => 0);
  for (const [node, parent] of parents.entries()) {
    rows[node] = (parent < 0 ? 0 : (rows[parent] ?? 0)) + (shifts[node] ?? 0);
  }
  const top = rows.reduce((least, row) => Math.min(least, row), 0);
  const bottom = rows.reduce((greatest, row) => Math.max(greatest, row), 0);
  return {
    rows: rows.map((row) => row - top),
    rowCount: bottom - top + 1,
    columnCount: depths.reduce((deepest, depth) => Math.max(deepest, depth), 0) + 1,
  };
}

/** Children of every node, in order. */
export function childrenOf(parents: readonly number[]): number[][] {
  const children: number[][] = parents.map(() => []);
  for (const [node, parent] of parents.entries()) children[parent]?.push(node);
  return children;
}

/** Sets the children's shifts against their parent and gives the outline of the whole. */
function place(
  children: readonly number[],
  outlines: readonly Outline[],
  shifts: number[],
  align: "middle" | "first",
): Outline {
  const least: number[] = [];
  const greatest: number[] = [];
  for (const child of children) {
    const outline = outlines[child];
    if (outline === undefined) continue;
    let shift = 0;
    for (const [depth, row] of outline.least.entries()) {
      const above = greatest[depth];
      if (above !== undefined) shift = Math.max(shift, above + 1 - row);
    }
    shifts[child] = shift;
    for (const [depth, row] of outline.least.entries()) {
      least[depth] ??= row + shift;
      greatest[depth] = (outline.greatest[depth] ?? row) + shift;
    }
  }
  const first = children[0];
  const last = children.at(-1);
  if (first === undefined || last === undefined) return { least: [0], greatest: [0] };
  const own = align === "first" ? 0 : ((shifts[first] ?? 0) + (shifts[last] ?? 0)) / 2;
  for (const child of children) shifts[child] = (shifts[child] ?? 0) - own;
  const relative = (rows: number[]) => [0, ...rows.map((row) => row - own)];
  return { least: relative(least), greatest: relative(greatest) };
}

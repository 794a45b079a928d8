/**
 * wgmma: four warps multiply 64 rows; each warp's rows depend on no other warp, so every warp does
 * its own sixteen, at the wait for the group: operands in registers and in shared memory are read
 * and accumulators written as late as a device may.
 */
import { wgmmaHazards } from "../analysis/wgmma-hazards.ts";
import type { Machine } from "../execute/machine.ts";
import { blockExtra, type WarpState } from "../execute/state.ts";
import type { Instruction, Operand } from "../ptx/ptx.ts";
import { firstLane, type Handler, hex, type Operation } from "./operation.ts";
import {
  type AccessVisitor,
  CORE_ROWS,
  checkBounds,
  coreFunction,
  descriptorReader,
  fromRows,
  negateA,
  rowAccess,
  type SharedMatrix,
  stageA,
} from "./wgmma-operands.ts";
import { WARP } from "../layout.ts";

/** Types a shape of this depth may multiply: 32 bytes of k, and both operands of one family. */
const FAMILIES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  k8: [["tf32"]],
  k16: [["bf16"], ["f16"]],
  k32: [
    ["e4m3", "e5m2"],
    ["s8", "u8"],
  ],
};

/**
 * One mma_async of a warp that has not been executed. Descriptors and scales are read when it is
 * issued: their registers may be used for something else at once.
 */
interface Product {
  readonly instruction: Instruction;
  readonly execute: (warp: number, product: Product) => void;
  /** When it was issued, in the sanitiser's time. */
  readonly since: number;
  readonly a: SharedMatrix | undefined;
  readonly b: SharedMatrix;
  /** Adds to the accumulators as they are. */
  readonly keeps: boolean;
}

interface WarpProducts {
  open: Product[];
  readonly groups: Product[][];
}

const productsKey = {};

function productsOf(machine: Machine): WarpProducts {
  const { block, warp } = machine.position;
  const all = blockExtra(block, productsKey, () => new Map<WarpState, WarpProducts>());
  let found = all.get(warp);
  if (found === undefined) {
    found = { open: [], groups: [] };
    all.set(warp, found);
  }
  return found;
}

export function wgmma(op: Operation): Handler {
  const handler = handlerOf(op);
  const { machine, instruction } = op;
  return (warp, mask) => {
    if (mask !== -1) {
      const message = `${instruction.opcode} needs all lanes of the warp, and only ${hex(mask)} are here`;
      machine.abort("barrier-divergence", message, instruction, firstLane(mask));
    }
    handler(warp, mask);
  };
}

function handlerOf(op: Operation): Handler {
  const { machine } = op;
  switch (op.instruction.parts[1]) {
    case "mma_async":
      return issue(op);
    case "fence":
      return () => {};
    case "commit_group":
      return () => {
        const products = productsOf(machine);
        products.groups.push(products.open);
        products.open = [];
      };
    case "wait_group": {
      const keep = op.uniform(op.operand(0));
      return (warp, mask) => {
        const { groups } = productsOf(machine);
        const count = Math.max(groups.length - keep(warp, mask), 0);
        for (const product of groups.splice(0, count).flat()) product.execute(warp, product);
      };
    }
    default:
      return op.fail();
  }
}

/** The running warp has ended: groups that it did not wait for may never have been executed. */
export function wgmmaEnds(machine: Machine): void {
  const all = machine.position.block.extras.get(productsKey);
  if (!(all instanceof Map)) return;
  const { open, groups } = productsOf(machine);
  const [product] = [...groups.flat(), ...open];
  if (product === undefined) return;
  const committed = groups.length > 0 ? "is never waited for" : "is in no group that is waited for";
  const message = `${product.instruction.opcode} ${committed}: the warp ends first`;
  machine.report("missing-wait", message, product.instruction, 0);
}

interface Shape {
  readonly columns: number;
  readonly typeA: string;
  readonly typeB: string;
  readonly isInteger: boolean;
}

function shapeOf(op: Operation): Shape {
  const { parts } = op.instruction;
  const at = parts.findIndex((part) => /^m64n\d+k\d+$/.test(part));
  const [, columns, depth] = /^m64n(\d+)(k\d+)$/.exec(parts[at] ?? "") ?? op.fail();
  const [typeD = "", typeA = "", typeB = ""] = parts.slice(at + 1);
  const isKnown = FAMILIES[depth ?? ""]?.some((all) => all.includes(typeA) && all.includes(typeB));
  const n = Number(columns);
  if (isKnown !== true || n % 8 !== 0 || n < 8 || n > 256) return op.fail();
  const isInteger = typeA === "s8" || typeA === "u8";
  if (typeD !== (isInteger ? "s32" : "f32")) return op.fail("16-bit accumulators");
  if (op.has("satfinite") || op.has("sp")) return op.fail();
  return { columns: n, typeA, typeB, isInteger };
}

/** mma_async d, a, b, scale-d{, scale-a, scale-b{, transpose-a}{, transpose-b}}. */
function issue(op: Operation): Handler {
  const { machine } = op;
  const { columns, typeA, typeB, isInteger } = shapeOf(op);
  const [d, a, b, scale, scaleA, scaleB, ...transposed] = op.instruction.operands;
  if (d?.kind !== "vector" || a === undefined || b === undefined || scale === undefined) {
    return op.fail();
  }
  const negates = literal(scaleA, 1) * literal(scaleB, 1) < 0;
  if (transposed.some((one) => literal(one, 0) !== 0)) return op.fail("transposition");
  const rows = d.items.map((item) => op.row(item));
  if (rows.length !== columns / 2) return op.fail("as many accumulators as the shape has");
  const keeps = op.uniform(scale);
  const describeA = a.kind === "vector" ? undefined : descriptorReader(op, a);
  const describeB = descriptorReader(op, b);
  const stage = stageA(op, a, typeA);
  const multiply = coreFunction(op, `wgmma_${typeB}`);
  const { i32 } = machine;
  const visit = sharedRows(op, columns);
  const execute = (warp: number, product: Product): void => {
    const { a, b, keeps, since } = product;
    const { sanitizer } = machine;
    if (sanitizer !== undefined) visit(product, (access) => sanitizer.readEnds(access, since));
    if (a === undefined) stage.registers(warp);
    else stage.shared(a);
    if (negates && !isInteger) negateA(op, typeA);
    if (!keeps) for (const row of rows) i32.fill(0, (warp + row) >> 2, ((warp + row) >> 2) + WARP);
    const window = machine.position.block.sharedBase;
    const { rowBytes, stride, second, swizzle } = b;
    // Four registers to eight columns: even and odd ones of rows 0 to 7, then of rows 8 to 15.
    for (let at = 0, { from } = b; at < rows.length; at += 4, from += stride) {
      const [even, odd] = [warp + (rows[at] ?? 0), warp + (rows[at + 1] ?? 0)];
      const [evenLow, oddLow] = [warp + (rows[at + 2] ?? 0), warp + (rows[at + 3] ?? 0)];
      multiply(window, from, rowBytes, second, swizzle, even, odd, evenLow, oddLow);
    }
  };
  return (warp, mask) => {
    const first = 2 * (machine.position.warp.index & 3);
    const { sanitizer } = machine;
    const product = {
      instruction: op.instruction,
      execute,
      since: sanitizer?.readBegins() ?? 0,
      a: describeA === undefined ? undefined : fromRows(describeA(warp), first),
      b: describeB(warp),
      keeps: keeps(warp, mask) !== 0,
    };
    if (product.a !== undefined) checkBounds(op, product.a, 2);
    checkBounds(op, product.b, columns / CORE_ROWS);
    if (sanitizer !== undefined) {
      reportHazards(op);
      visit(product, (access) => sanitizer.access(access));
    }
    productsOf(machine).open.push(product);
  };
}

/** What the kernel's text does to the product's registers, on the way to it or from it. */
function reportHazards({ machine, instruction }: Operation): void {
  const { kernel } = machine.position.launch;
  for (const hazard of wgmmaHazards(kernel.blocks).get(instruction) ?? []) {
    const message = `${hazard.instruction.opcode} ${hazard.what}`;
    machine.report(hazard.kind, message, hazard.instruction, 0);
  }
}

/**
 * Visits what a warp answers for to the sanitiser: its own rows of A, and a quarter of B, of which
 * the four warps read all, each the same.
 */
function sharedRows(
  op: Operation,
  columns: number,
): (product: Pick<Product, "a" | "b">, visit: AccessVisitor) => void {
  const [rowsOfA, rowsOfB] = [rowAccess(op), rowAccess(op)];
  return ({ a, b }, visit) => {
    const quarter = op.machine.position.warp.index & 3;
    if (a !== undefined) rowsOfA(a, [0, 16], visit);
    rowsOfB(b, [(quarter * columns) / 4, ((quarter + 1) * columns) / 4], visit);
  };
}

function literal(operand: Operand | undefined, otherwise: number): number {
  return operand?.kind === "int" ? Number(operand.value) : otherwise;
}

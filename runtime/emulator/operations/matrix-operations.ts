/** ldmatrix and stmatrix; what the host says of mma. */
import { type Handler, type Operation, firstLane, hex } from "./operation.ts";

function requireWholeWarp(op: Operation, mask: number): void {
  if (mask === -1) return;
  op.machine.abort(
    "barrier-divergence",
    `${op.instruction.opcode} needs all lanes of the warp, and only ${hex(mask)} are here`,
    op.instruction,
    firstLane(mask),
  );
}

/** mma is executed in WebAssembly; only part of a warp comes here. */
export function partialMatrixMultiply(op: Operation): Handler {
  return (_warp, mask) => requireWholeWarp(op, mask);
}

function matrixCount(op: Operation): number {
  const form = op.instruction.parts.find((part) => /^x[124]$/.test(part));
  if (form === undefined || !op.has("m8n8") || !op.has("b16")) return op.fail();
  return Number(form.slice(1));
}

/** Eight rows of 16 bytes per matrix; their addresses are in eight lanes each. */
function rowAccess(
  op: Operation,
  kind: "read" | "write",
  address: (warp: number, lane: number) => number,
  count: number,
): (warp: number) => void {
  const addresses = new Float64Array(32);
  const lanes = count === 4 ? -1 : 2 ** (8 * count) - 1;
  const { instruction } = op;
  const access = { instruction, kind, space: "shared", lanes, addresses, bytes: 16 } as const;
  return (warp) => {
    if (op.machine.sanitizer === undefined) return;
    for (let lane = 0; lane < 8 * count; lane++) addresses[lane] = address(warp, lane);
    op.machine.sanitizer.access(access);
    op.machine.sanitizer.warpSynchronized();
  };
}

export function loadMatrixAccess(op: Operation): Handler {
  return rowAccess(op, "read", op.address(op.operand(1), "shared"), matrixCount(op));
}

export function loadMatrix(op: Operation): Handler {
  const count = matrixCount(op);
  const address = op.address(op.operand(1), "shared");
  const to = op.operand(0);
  const rows = (to.kind === "vector" ? to.items : [to]).map((item) => op.row(item));
  if (rows.length !== count) op.fail("as many registers as matrices");
  const check = rowAccess(op, "read", address, count);
  const { u8, u16, i32 } = op.machine;
  const transposed = op.has("trans");
  const words = new Int32Array(32 * 4);
  return (warp, mask) => {
    requireWholeWarp(op, mask);
    check(warp);
    for (const matrix of rows.keys()) {
      for (let r = 0; r < 8; r++) {
        const from = op.sharedLinear(address(warp, 8 * matrix + r));
        if (from + 16 > u8.length)
          throw new WebAssembly.RuntimeError("memory access out of bounds");
        for (let c = 0; c < 8; c++) {
          const element = u16[(from >> 1) + c] ?? 0;
          // Lane 4·row + column / 2 holds a pair of neighbouring columns.
          const [i, j] = transposed ? [c, r] : [r, c];
          const word = matrix * 32 + 4 * i + (j >> 1);
          words[word] =
            (j & 1) === 0
              ? ((words[word] ?? 0) & 0xffff0000) | element
              : ((words[word] ?? 0) & 0xffff) | (element << 16);
        }
      }
    }
    // Addresses may be in a destination register, so nothing is written before all is read.
    for (const [matrix, row] of rows.entries()) {
      i32.set(words.subarray(32 * matrix, 32 * matrix + 32), (warp + row) >> 2);
    }
  };
}

export function storeMatrix(op: Operation): Handler {
  const count = matrixCount(op);
  const address = op.address(op.operand(0), "shared");
  const from = op.operand(1);
  const rows = (from.kind === "vector" ? from.items : [from]).map((item) => op.row(item));
  if (rows.length !== count) op.fail("as many registers as matrices");
  const check = rowAccess(op, "write", address, count);
  const { u16 } = op.machine;
  const transposed = op.has("trans");
  return (warp, mask) => {
    requireWholeWarp(op, mask);
    check(warp);
    for (const [matrix, row] of rows.entries()) {
      for (let r = 0; r < 8; r++) {
        const to = op.sharedLinear(address(warp, 8 * matrix + r)) >> 1;
        for (let c = 0; c < 8; c++) {
          const [i, j] = transposed ? [c, r] : [r, c];
          u16[to + c] = u16[((warp + row) >> 1) + 2 * (4 * i + (j >> 1)) + (j & 1)] ?? 0;
        }
      }
    }
  };
}

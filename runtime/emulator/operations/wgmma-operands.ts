/** Operands of wgmma: matrices in shared memory behind descriptors, and A's fragments in registers. */
import { PIECE, TILE } from "../core/wgmma.ts";
import { MATRIX_TYPES } from "../core/matrix.ts";
import type { OperationAccess } from "../execute/run-observer.ts";
import { MMA_A, WARP } from "../layout.ts";
import type { Operand } from "../ptx/ptx.ts";
import type { Operation } from "./operation.ts";

/** Rows of a core matrix. */
export const CORE_ROWS = 8;

/** Where a matrix with 32 bytes to a row lies in the shared window; all in bytes. */
export interface SharedMatrix {
  /** Offset of the first row. */
  readonly from: number;
  /** Distances between rows, between eights of rows, and between the two halves of a row. */
  readonly rowBytes: number;
  readonly stride: number;
  readonly second: number;
  /** Bits of the 16-byte chunk that are xored with address bits 7 and up. */
  readonly swizzle: number;
}

/** Width of the pattern and chunk bits, by the swizzle field: none, 128, 64, 32 bytes. */
const SWIZZLES = [
  { rowBytes: 16, swizzle: 0 },
  { rowBytes: 128, swizzle: 7 },
  { rowBytes: 64, swizzle: 3 },
  { rowBytes: 32, swizzle: 1 },
] as const;

/** Reads a descriptor of the running warp: that of its first lane, as all lanes have the same. */
export function descriptorReader(op: Operation, operand: Operand): (warp: number) => SharedMatrix {
  const row = op.row(operand) >> 2;
  const { u32 } = op.machine;
  return (warp) => {
    const low = u32[(warp >> 2) + row] ?? 0;
    const high = u32[(warp >> 2) + row + 1] ?? 0;
    if ((high >>> 17) & 7) op.fail("a descriptor with a base offset");
    const { rowBytes, swizzle } = SWIZZLES[high >>> 30] ?? SWIZZLES[0];
    const leading = ((low >>> 16) & 0x3fff) << 4;
    return {
      from: (low & 0x3fff) << 4,
      rowBytes,
      stride: (high & 0x3fff) << 4,
      // Half a row lies in one core matrix without a swizzle, and a row in one pattern with it.
      second: swizzle === 0 ? leading : 16,
      swizzle,
    };
  };
}

/** The same matrix from one of its eights of rows on. */
export function fromRows(matrix: SharedMatrix, group: number): SharedMatrix {
  return { ...matrix, from: matrix.from + group * matrix.stride };
}

/** Ends the launch where `groups` eights of rows reach past shared memory. */
export function checkBounds(op: Operation, matrix: SharedMatrix, groups: number): void {
  const { from, stride, rowBytes, second, swizzle } = matrix;
  const { sharedBytes } = op.machine.position.block;
  const last = from + (groups - 1) * stride + 7 * rowBytes + second + 16;
  const end = swizzle === 0 ? last : Math.ceil(last / 128) * 128;
  if (end <= sharedBytes) return;
  const message = `${op.instruction.opcode} reads up to offset ${end} of shared memory, which has ${sharedBytes} bytes`;
  op.machine.abort("out-of-bounds", message, op.instruction, 0);
}

/** Visits rows of a matrix in the sanitiser's terms: up to 16 rows of two pieces at a time. */
export function rowAccess(
  op: Operation,
): (matrix: SharedMatrix, rows: readonly [number, number], visit: AccessVisitor) => void {
  const addresses = new Float64Array(WARP);
  const { instruction } = op;
  const access = {
    instruction,
    kind: "read",
    space: "shared",
    lanes: 0,
    addresses,
    bytes: 16,
  } as const satisfies OperationAccess;
  // Made once for each number of lanes: the sanitiser remembers what it worked out for them.
  const accesses = new Map<number, OperationAccess>();
  return ({ from, rowBytes, stride, second, swizzle }, [first, end], visit) => {
    for (let row = first; row < end; row += WARP / 2) {
      const count = Math.min(end - row, WARP / 2);
      for (let lane = 0; lane < 2 * count; lane++) {
        const at = row + (lane >> 1);
        const start = from + Math.floor(at / CORE_ROWS) * stride + (at % CORE_ROWS) * rowBytes;
        const address = start + (lane & 1) * second;
        addresses[lane] = address ^ (((address >>> 7) & swizzle) << 4);
      }
      const lanes = count === WARP / 2 ? -1 : 2 ** (2 * count) - 1;
      let one = accesses.get(lanes);
      if (one === undefined) {
        one = { ...access, lanes };
        accesses.set(lanes, one);
      }
      visit(one);
    }
  };
}

export type AccessVisitor = (access: OperationAccess) => void;

type CoreFunction = (...args: number[]) => void;

export function coreFunction(op: Operation, name: string): CoreFunction {
  const found = op.machine.core[name];
  if (typeof found !== "function") return op.fail();
  return (...args) => {
    found(...args);
  };
}

/** Lays A out where the multiplication reads it: 16 rows of a warp. */
export interface Stage {
  /** From registers of the warp. */
  readonly registers: (warp: number) => void;
  readonly shared: (matrix: SharedMatrix) => void;
}

export function stageA(op: Operation, operand: Operand, type: string): Stage {
  const { machine } = op;
  const perWord = MATRIX_TYPES[type] ?? op.fail();
  const depth = 8 * perWord;
  const stage = coreFunction(op, `stageA_${type}`);
  const load = coreFunction(op, "loadTile");
  // Registers of a fragment alternate between rows 0 to 7 and 8 to 15.
  const offset = (register: number): number =>
    (register & 1) * CORE_ROWS * depth * 4 + (register >> 1) * 16 * perWord;
  const rows = operand.kind === "vector" ? operand.items.map((item) => op.row(item)) : [];
  if (operand.kind === "vector" && rows.length !== 4) op.fail("a fragment of this size");
  return {
    registers: (warp) => {
      for (let at = 0; at < 4; at++) stage(warp + (rows[at] ?? 0), offset(at), 4 * depth);
    },
    shared: ({ from, rowBytes, stride, second, swizzle }) => {
      const window = machine.position.block.sharedBase;
      for (let half = 0; half < 2; half++) {
        load(TILE, window, from + half * stride, rowBytes, second, swizzle);
        stage(TILE, offset(half), 4 * depth);
        stage(TILE + PIECE, offset(half + 2), 4 * depth);
      }
    },
  };
}

/** Changes the sign of the staged A. */
export function negateA(op: Operation, type: string): void {
  const { f32 } = op.machine;
  const begin = MMA_A >> 2;
  const end = begin + 16 * 8 * (MATRIX_TYPES[type] ?? 0);
  for (let at = begin; at < end; at++) f32[at] = -(f32[at] ?? 0);
}

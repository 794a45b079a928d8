/**
 * wgmma: four warps multiply 64 rows; each warp's rows depend on no other warp, so every warp does
 * its own sixteen. Results appear at once, not at the wait.
 */
import { WARP } from "../layout.ts";
import { fp8Decode } from "../execute/fp8.ts";
import type { Operand } from "../ptx/ptx.ts";
import { firstLane, type Handler, hex, type Operation } from "./operation.ts";

/** Reads an element of 1, 2 or 4 bytes as a number. */
type Decoder = { readonly bytes: number; readonly read: (bits: number) => number };

const scratch = new DataView(new ArrayBuffer(4));

function fromBits(bits: number): number {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const DECODERS: Readonly<Record<string, Decoder>> = {
  bf16: { bytes: 2, read: (bits) => fromBits(bits << 16) },
  f16: { bytes: 2, read: halfToFloat },
  tf32: { bytes: 4, read: (bits) => fromBits(bits & 0xffffe000) },
  e4m3: { bytes: 1, read: (bits) => fp8Decode(bits, "e4m3") },
  e5m2: { bytes: 1, read: (bits) => fp8Decode(bits, "e5m2") },
  s8: { bytes: 1, read: (bits) => (bits << 24) >> 24 },
  u8: { bytes: 1, read: (bits) => bits },
};

export function wgmma(op: Operation): Handler {
  const { parts } = op.instruction;
  switch (parts[1]) {
    case "mma_async":
      return multiply(op);
    case "fence":
    case "commit_group":
    case "wait_group":
      return () => {};
    default:
      return op.fail();
  }
}

/** Byte offset in the shared window of element (row, k) of an operand described by a descriptor. */
function elementOffset(low: number, high: number, row: number, k: number, bytes: number): number {
  const start = (low & 0x3fff) << 4;
  const leading = ((low >>> 16) & 0x3fff) << 4;
  const stride = (high & 0x3fff) << 4;
  const swizzle = high >>> 30;
  // Core matrices are 8 rows of 16 bytes; rows lie as far apart as the swizzle pattern is wide.
  const width = [16, 128, 64, 32][swizzle] ?? 16;
  const byte = k * bytes;
  const inRow = swizzle === 0 ? byte % 16 : byte % width;
  const along = swizzle === 0 ? Math.floor(byte / 16) : Math.floor(byte / width);
  const address =
    start + Math.floor(row / 8) * stride + (row % 8) * width + along * leading + inRow;
  if (swizzle === 0) return address;
  // 16-byte chunks are permuted by the row: address bits 4.. are xored with bits 7...
  const bits = [0, 7, 3, 1][swizzle] ?? 0;
  return address ^ (((address >>> 7) & bits) << 4);
}

function multiply(op: Operation): Handler {
  const { machine, instruction } = op;
  const { parts, operands } = instruction;
  const shape = /^m64n(\d+)k(\d+)$/.exec(parts.find((part) => /^m64n/.test(part)) ?? "");
  const columns = Number(shape?.[1]);
  const depth = Number(shape?.[2]);
  const types = parts.slice(parts.findIndex((part) => /^m64n/.test(part)) + 1);
  const [typeD, typeA, typeB] = types;
  const decodeA = DECODERS[typeA ?? ""];
  const decodeB = DECODERS[typeB ?? ""];
  if (shape === null || decodeA === undefined || decodeB === undefined) return op.fail();
  if (typeD !== "f32" && typeD !== "s32") return op.fail("16-bit accumulators");
  const [d, a, b, scale, negateA, negateB, transposeA, transposeB] = operands;
  if (d?.kind !== "vector" || a === undefined || b === undefined || scale === undefined) {
    return op.fail();
  }
  const sign = literal(negateA, 1) * literal(negateB, 1);
  if (literal(transposeA, 0) !== 0 || literal(transposeB, 0) !== 0) return op.fail("transposition");
  const rowsD = d.items.map((item) => op.row(item));
  if (rowsD.length !== columns / 2) return op.fail("as many accumulators as the shape has");
  const accumulate = scaleReader(op, scale);
  const readA =
    a.kind === "vector"
      ? fragmentReader(op, a.items, decodeA, depth)
      : descriptorReader(op, a, decodeA, true);
  const readB = descriptorReader(op, b, decodeB, false);
  const { f32, i32 } = machine;
  const accumulators = typeD === "f32" ? f32 : i32;
  const matrixA = new Float64Array(16 * depth);
  const matrixB = new Float64Array(columns * depth);
  return (warp, mask) => {
    if (mask !== -1) {
      const message = `${instruction.opcode} needs all lanes of the warp, and only ${hex(mask)} are here`;
      machine.abort("barrier-divergence", message, instruction, firstLane(mask));
    }
    for (let r = 0; r < 16; r++) {
      for (let k = 0; k < depth; k++) matrixA[r * depth + k] = readA(warp, r, k);
    }
    for (let c = 0; c < columns; c++) {
      for (let k = 0; k < depth; k++) matrixB[c * depth + k] = readB(warp, c, k);
    }
    const keeps = accumulate(warp, mask);
    for (const [index, row] of rowsD.entries()) {
      for (let lane = 0; lane < WARP; lane++) {
        const r = (lane >> 2) + 8 * ((index >> 1) & 1);
        const c = 8 * (index >> 2) + 2 * (lane & 3) + (index & 1);
        let sum = 0;
        for (let k = 0; k < depth; k++) {
          sum += (matrixA[r * depth + k] ?? 0) * (matrixB[c * depth + k] ?? 0);
        }
        const at = ((warp + row) >> 2) + lane;
        accumulators[at] = (keeps ? (accumulators[at] ?? 0) : 0) + sign * sum;
      }
    }
  };
}

function literal(operand: Operand | undefined, otherwise: number): number {
  return operand?.kind === "int" ? Number(operand.value) : otherwise;
}

/** The scale of D: a predicate, or a literal 0 or 1. */
function scaleReader(op: Operation, operand: Operand): (warp: number, mask: number) => boolean {
  const read = op.uniform(operand);
  return (warp, mask) => read(warp, mask) !== 0;
}

/** A from registers: the fragment of an m16 matrix instruction. */
function fragmentReader(
  op: Operation,
  items: readonly Operand[],
  { bytes, read }: Decoder,
  depth: number,
): (warp: number, row: number, k: number) => number {
  const rows = items.map((item) => op.row(item));
  const perWord = 4 / bytes;
  if (rows.length !== (2 * depth) / (4 * perWord)) return op.fail("a fragment of this size");
  const { u32 } = op.machine;
  return (warp, row, k) => {
    const chunk = Math.floor(k / (4 * perWord));
    const inChunk = k % (4 * perWord);
    const register = rows[2 * chunk + (row >> 3)] ?? 0;
    const lane = 4 * (row & 7) + Math.floor(inChunk / perWord);
    const word = u32[((warp + register) >> 2) + lane] ?? 0;
    return read((word >>> (8 * bytes * (inChunk % perWord))) & maskOf(bytes));
  };
}

const maskOf = (bytes: number): number => (bytes === 4 ? 0xffffffff : 2 ** (8 * bytes) - 1);

/** An operand in shared memory. A's rows begin at those of the warp in its group of four. */
function descriptorReader(
  op: Operation,
  operand: Operand,
  { bytes, read }: Decoder,
  isA: boolean,
): (warp: number, row: number, k: number) => number {
  const register = op.row(operand) >> 2;
  const { machine } = op;
  const { u8, u16, u32 } = machine;
  return (warp, row, k) => {
    const { block, warp: state } = machine.position;
    const at = (warp >> 2) + register;
    const first = isA ? 16 * (state.index & 3) : 0;
    const offset = elementOffset(u32[at] ?? 0, u32[at + 1] ?? 0, first + row, k, bytes);
    if (offset + bytes > block.sharedBytes) {
      const message = `${op.instruction.opcode} reads at offset ${offset} of shared memory, which has ${block.sharedBytes} bytes`;
      machine.abort("out-of-bounds", message, op.instruction, 0);
    }
    const address = block.sharedBase + offset;
    const bits = bytes === 1 ? u8[address] : bytes === 2 ? u16[address >> 1] : u32[address >> 2];
    return read(bits ?? 0);
  };
}

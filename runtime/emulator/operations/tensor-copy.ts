/** cp.async.bulk.tensor: boxes of a matrix that a tensor map describes, to shared memory. */
import { TENSOR_MAP_ALIGN } from "../../driver/driver.ts";
import { BOX_COLUMNS, decodeTensorMap, type PlacedMap } from "../driver/tensor-map.ts";
import { GLOBAL_TAG, PARAM_BASE, PARAM_TAG } from "../layout.ts";
import { deliver, touch } from "./bulk-copy.ts";
import type { Handler, Operation } from "./operation.ts";
import { eachLane } from "./warp-operations.ts";

const ELEMENT = 2;
const ROW = BOX_COLUMNS * ELEMENT;
const PIECE = 16;
/** What the instruction asks of a destination, and where the pattern of the swizzle begins. */
const DESTINATION_ALIGN = 128;
const SWIZZLE_ALIGN = 1024;

/** The part of a box's row that lies in the matrix; the rest is zero. */
interface RowPart {
  /** Linear address of its first byte. */
  readonly source: number;
  /** Of the box's first byte. */
  readonly target: number;
  readonly bytes: number;
}

/** Loads of two dimensions in tile mode, with or without multicast. */
export function tensorCopy(op: Operation): Handler {
  const { machine, instruction } = op;
  const { parts } = instruction;
  if (parts.includes("prefetch")) return () => {};
  const isLoad = parts.includes("global") && parts.includes("mbarrier::complete_tx::bytes");
  const others = ["im2col", "im2col::w", "im2col::w::128", "tile::gather4", "cta_group::2"];
  if (!isLoad || !parts.includes("2d") || parts.some((part) => others.includes(part)))
    return op.fail();
  const to = op.address(op.operand(0), "shared");
  const mapAt = mapAddress(op);
  const source = op.operand(1);
  const coordinates = source.kind === "address" ? (source.coordinates ?? []) : [];
  const [columnOperand, rowOperand] = coordinates;
  if (columnOperand === undefined || rowOperand === undefined || coordinates.length !== 2)
    return op.fail("a box with other than two coordinates");
  const [columnOf, rowOf] = [op.reader(columnOperand), op.reader(rowOperand)];
  const barrier = op.address(op.operand(2), "shared");
  const multicast = parts.includes("multicast::cluster") ? op.reader(op.operand(3)) : undefined;
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      const map = mapOf(op, mapAt(warp, lane), lane);
      const target = to(warp, lane);
      checkDestination(op, target, lane);
      const rows = rowsOf(map, columnOf(warp, lane), rowOf(warp, lane));
      for (const { source: from, bytes } of rows)
        touch(op, "read", "global", lane, from, bytes, ELEMENT);
      const bytes = map.boxRows * ROW;
      deliver(
        op,
        lane,
        target,
        barrier(warp, lane),
        multicast?.(warp, lane),
        bytes,
        (at, offset) => {
          machine.u8.fill(0, at, at + bytes);
          for (const row of rows) land(machine.u8, row, at, offset);
        },
      );
    });
  };
}

/** Writes a row's part, its pieces swizzled by the address in the window that each would have. */
function land(
  u8: Uint8Array,
  { source, target, bytes }: RowPart,
  at: number,
  offset: number,
): void {
  for (let done = 0; done < bytes; ) {
    const place = offset + target + done;
    const count = Math.min(PIECE - (place % PIECE), bytes - done);
    const swizzled = place ^ (((place >> 7) & 7) << 4);
    const from = source + done;
    u8.copyWithin(at - offset + swizzled, from, from + count);
    done += count;
  }
}

function rowsOf(map: PlacedMap, column: number, row: number): readonly RowPart[] {
  const first = Math.max(column, 0);
  const bytes = (Math.min(column + BOX_COLUMNS, map.columns) - first) * ELEMENT;
  if (bytes <= 0) return [];
  const found: RowPart[] = [];
  for (let index = 0; index < map.boxRows; index++) {
    const at = row + index;
    if (at < 0 || at >= map.rows) continue;
    const source = map.base + (at * map.columns + first) * ELEMENT;
    found.push({ source, target: index * ROW + (first - column) * ELEMENT, bytes });
  }
  return found;
}

/** The generic address of the map: of a parameter or of global memory. */
function mapAddress(op: Operation): (warp: number, lane: number) => number {
  const operand = op.operand(1);
  if (operand.kind !== "address" || operand.base === undefined || !("bits" in operand.base))
    return op.fail("a tensor map without a generic address");
  const { u32 } = op.machine;
  const row = op.context.row(operand.base) >> 2;
  const { offset } = operand;
  return (warp, lane) => {
    const at = (warp >> 2) + row + 2 * lane;
    const low = (u32[at] ?? 0) + offset;
    const tag = u32[at + 1] ?? 0;
    if (tag === PARAM_TAG) return PARAM_BASE + low;
    return tag === GLOBAL_TAG ? low : -1;
  };
}

function mapOf(op: Operation, at: number, lane: number): PlacedMap {
  const { instruction, machine } = op;
  if (at > 0 && at % TENSOR_MAP_ALIGN !== 0) {
    const message = `${instruction.opcode} is given a tensor map at an address that is no multiple of ${TENSOR_MAP_ALIGN}`;
    return machine.abort("misaligned", message, instruction, lane);
  }
  const map = decodeTensorMap(machine.buffer, at);
  if (map !== undefined) return map;
  const message = `${instruction.opcode} is given a tensor map that cuTensorMapEncodeTiled did not make`;
  return machine.abort("uninitialized", message, instruction, lane);
}

function checkDestination(op: Operation, target: number, lane: number): void {
  if (target % SWIZZLE_ALIGN === 0) return;
  const why =
    target % DESTINATION_ALIGN === 0
      ? `its swizzle repeats every ${SWIZZLE_ALIGN} bytes and would begin in the middle`
      : `it must be a multiple of ${DESTINATION_ALIGN}, and of ${SWIZZLE_ALIGN} for the swizzle to begin there`;
  const message = `${op.instruction.opcode} copies a box to offset ${target % 2 ** 24} of shared memory: ${why}`;
  op.machine.abort("misaligned", message, op.instruction, lane);
}

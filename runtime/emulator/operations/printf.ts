/** Device printf: a format, and a buffer of arguments in the thread's local memory. */
import { HEADER, LOCAL_TAG } from "../layout.ts";
import type { Operand } from "../ptx/ptx.ts";
import type { Handler, Operation } from "./operation.ts";
import { eachLane } from "./warp-operations.ts";

const CONVERSION = /%([-+ #0]*)(\d+)?(?:\.(\d+))?(hh|h|ll|l|z|j|t)?([diouxXcsfFeEgGaAp%])/g;

/** vprintf(format, arguments): lines go to the process's standard output. */
export function printf(op: Operation, args: readonly Operand[]): Handler {
  const [format, values] = args;
  if (format?.kind !== "reg" || values?.kind !== "reg") return op.fail();
  const { machine } = op;
  const rows = [op.row(format) >> 2, op.row(values) >> 2] as const;
  const linear = (warp: number, lane: number, row: number): number => {
    const at = (warp >> 2) + row + 2 * lane;
    const low = machine.u32[at] ?? 0;
    if (machine.u32[at + 1] !== LOCAL_TAG) return low;
    const base = machine.u32[(warp + HEADER.localBase) >> 2] ?? 0;
    return base + lane * op.context.localBytes + low;
  };
  return (warp, mask) => {
    eachLane(mask, (lane) => {
      const text = stringAt(machine.u8, linear(warp, lane, rows[0]));
      const buffer = linear(warp, lane, rows[1]);
      process.stdout.write(formatted(text, new DataView(machine.buffer), buffer, machine.u8));
    });
  };
}

function stringAt(bytes: Uint8Array, address: number): string {
  const end = bytes.indexOf(0, address);
  return new TextDecoder().decode(bytes.subarray(address, end));
}

/** Arguments are 4 or 8 bytes, each at a multiple of its size; floats come as doubles. */
function formatted(text: string, view: DataView, buffer: number, bytes: Uint8Array): string {
  let at = buffer;
  const take = (size: number): number => {
    at = Math.ceil(at / size) * size;
    const address = at;
    at += size;
    return address;
  };
  return text.replace(CONVERSION, (_all, flags: string, width, precision, size, kind: string) => {
    if (kind === "%") return "%";
    let result: string;
    if (kind === "s") {
      const pointer = Number(view.getBigUint64(take(8), true) & 0xffffffffn);
      result = stringAt(bytes, pointer);
    } else if ("fFeEgGaA".includes(kind)) {
      result = floatText(view.getFloat64(take(8), true), kind, Number(precision ?? 6));
    } else {
      const isLong = size === "l" || size === "ll" || size === "z" || size === "j" || kind === "p";
      const address = take(isLong ? 8 : 4);
      const signed = kind === "d" || kind === "i";
      const value = isLong
        ? signed
          ? view.getBigInt64(address, true)
          : view.getBigUint64(address, true)
        : BigInt(signed ? view.getInt32(address, true) : view.getUint32(address, true));
      result = integerText(value, kind);
      if (flags.includes("+") && signed && value >= 0n) result = `+${result}`;
    }
    const columns = Number(width ?? 0);
    if (flags.includes("-")) return result.padEnd(columns);
    return result.padStart(columns, flags.includes("0") ? "0" : " ");
  });
}

function integerText(value: bigint, kind: string): string {
  switch (kind) {
    case "x":
      return value.toString(16);
    case "X":
      return value.toString(16).toUpperCase();
    case "o":
      return value.toString(8);
    case "c":
      return String.fromCharCode(Number(value));
    case "p":
      return `0x${value.toString(16)}`;
    default:
      return value.toString();
  }
}

function floatText(value: number, kind: string, precision: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const exponential = (digits: number): string =>
    value.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
  switch (kind.toLowerCase()) {
    case "f":
      return value.toFixed(precision);
    case "e":
      return exponential(precision);
    default:
      return String(Number(value.toPrecision(Math.max(precision, 1))));
  }
}

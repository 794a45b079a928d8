/** One emulated device: its linear memory, the core functions, and who is running right now. */
import { HydrantError } from "../../../src/util/errors.ts";
import type { FindingKind } from "../../driver/instrumented-driver.ts";
import { instantiateCore } from "../core/core.ts";
import { hasFusedMultiplyAdd } from "../../wasm/fused.ts";
import { CONSTANT_ROWS, STATE_BASE, WARP } from "../layout.ts";
import type { Instruction } from "../ptx/ptx.ts";
import type { Findings } from "./findings.ts";
import type { RunObserver } from "./run-observer.ts";
import type { BlockState, LaunchState, WarpState } from "./state.ts";

const PAGE = 65536;
/** Address space for the state of resident blocks; pages cost nothing until they are used. */
const STATE_BYTES = 384 * 2 ** 20;
const MAX_BYTES = 2 ** 32 - PAGE;

/** Ends the running launch: the kernel did what no device survives. */
export class KernelAbort extends Error {
  readonly kind: FindingKind;

  constructor(kind: FindingKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Where in a launch something happened. */
export interface Position {
  readonly launch: LaunchState;
  readonly block: BlockState;
  readonly warp: WarpState;
}

export class Machine {
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBuffer;
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
  readonly u64: BigUint64Array;
  readonly core: WebAssembly.Exports;
  readonly fused: boolean;
  readonly findings: Findings;
  readonly pages: number;
  /** State of blocks lies in [stateBase, deviceBase), device memory in [deviceBase, end). */
  readonly deviceBase: number;
  readonly end: number;
  /** Room for shadows lies in [end, shadowEnd). */
  readonly shadowEnd: number;
  #stateBase = STATE_BASE;
  /** The warp that is running; undefined between runs. */
  current: Position | undefined;
  /** Watches memory and ordering; absent when the emulator only executes. */
  sanitizer: RunObserver | undefined;
  /** Sets the condition of a graph's conditional node. */
  setCondition: (handle: bigint, value: number) => void = () => {};

  /** `shadowed`: a shadow of the device memory is to be kept, as far as there is room for one. */
  constructor(deviceBytes: number, findings: Findings, shadowed: boolean) {
    const wanted = Math.ceil((STATE_BASE + STATE_BYTES + deviceBytes) / PAGE) * PAGE;
    this.end = Math.min(wanted, MAX_BYTES);
    this.shadowEnd = shadowed
      ? Math.min(this.end + 16 * deviceBytes + STATE_BYTES, MAX_BYTES)
      : this.end;
    this.pages = Math.ceil(this.shadowEnd / PAGE);
    this.deviceBase = STATE_BASE + STATE_BYTES;
    this.memory = reserveMemory(this.pages);
    const { buffer } = this.memory;
    if (!(buffer instanceof ArrayBuffer)) throw new Error("the memory is not shared");
    this.buffer = buffer;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.findings = findings;
    this.fused = hasFusedMultiplyAdd();
    this.core = instantiateCore(this.memory, { fused: this.fused });
    this.#writeConstantRows();
  }

  /** First byte of block state, after what `reserve` took. */
  get stateBase(): number {
    return this.#stateBase;
  }

  /** Takes bytes for as long as the machine lives, before any block is placed. */
  reserve(bytes: number): number {
    const at = this.#stateBase;
    this.#stateBase = Math.ceil((at + bytes) / 1024) * 1024;
    return at;
  }

  #writeConstantRows(): void {
    for (let lane = 0; lane < WARP; lane++) {
      const bit = (1 << lane) >>> 0;
      const below = bit - 1;
      const rows = [
        [CONSTANT_ROWS.laneId, lane],
        [CONSTANT_ROWS.laneMaskEq, bit],
        [CONSTANT_ROWS.laneMaskLt, below],
        [CONSTANT_ROWS.laneMaskLe, (below | bit) >>> 0],
        [CONSTANT_ROWS.laneMaskGt, ~(below | bit) >>> 0],
        [CONSTANT_ROWS.laneMaskGe, ~below >>> 0],
      ] as const;
      for (const [row, value] of rows) this.u32[row / 4 + lane] = value;
    }
  }

  /** The running warp. */
  get position(): Position {
    if (this.current === undefined) throw new Error("no warp is running");
    return this.current;
  }

  /** Records a fault of the running warp, seen at a lane (-1: the first active one is not known). */
  report(kind: FindingKind, message: string, instruction: Instruction, lane: number): void {
    const { launch, block, warp } = this.position;
    const call = instruction.source?.inlinedAt;
    const inlined = call === undefined ? "" : ` (inlined at ${call.file}:${call.line})`;
    this.findings.add({
      kind,
      message: message + inlined,
      kernel: launch.kernelName,
      file: instruction.source?.file ?? null,
      line: instruction.source?.line ?? null,
      ptxLine: instruction.ptxLine,
      block: block.index,
      thread: threadOf(launch, warp, Math.max(lane, 0)),
    });
  }

  /** Records a fault and ends the launch. */
  abort(kind: FindingKind, message: string, instruction: Instruction, lane: number): never {
    this.report(kind, message, instruction, lane);
    throw new KernelAbort(kind, message);
  }
}

/** Address space only: pages are backed when they are first written. */
function reserveMemory(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (error) {
    throw new HydrantError(
      "emulator/no-memory",
      `The emulator could not reserve ${(pages * PAGE) / 2 ** 20} MiB of address space.`,
      {
        hint: "Ask for less device memory (memoryBytes), or raise the limit (ulimit -v).",
        cause: error,
      },
    );
  }
}

/** Thread index of a lane. */
export function threadOf(
  launch: LaunchState,
  warp: WarpState,
  lane: number,
): readonly [number, number, number] {
  const { x, y } = launch.config.block;
  const linear = warp.index * WARP + lane;
  return [linear % x, Math.floor(linear / x) % y, Math.floor(linear / (x * y))];
}

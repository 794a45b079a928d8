import { describe, expect, it } from "vitest";
import { ACCESS } from "../../../runtime/emulator/core/access.ts";
import { instantiateCore } from "../../../runtime/emulator/core/core.ts";
import { CHECK, GLOBAL_TAG } from "../../../runtime/emulator/layout.ts";

/** Where the test keeps addresses, tags and written bits. */
const ROW = 0x10000;
const TAGS = 0x12000;
const BITS = 0x4e000;
const END = 0x50000;
/** Bytes of the memory that is looked at. */
const SIZE = 5120;

function machine() {
  const memory = new WebAssembly.Memory({ initial: 5, maximum: 5 });
  const core = instantiateCore(memory);
  const u32 = new Uint32Array(memory.buffer as ArrayBuffer);
  const call = (name: string, ...args: number[]): number => {
    const found = core[name];
    if (typeof found !== "function") throw new Error(`the core has no ${name}`);
    return Number(found(...args));
  };
  return { u32, call };
}

let state = 1;
/** A number from 0 up to a bound; the same ones in every run. */
function below(bound: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * bound);
}

const oneIn = (count: number): boolean => below(count) === 0;

/** Addresses as kernels have them, by lane; rarely one of them is anything. */
function addresses(bytes: number): number[] {
  const first = bytes * below(40) + (oneIn(20) ? below(16) : 0) + (oneIn(30) ? SIZE - 400 : 0);
  const forms: readonly ((lane: number) => number)[] = [
    () => first,
    (lane) => first + lane * bytes,
    (lane) => first + (lane & 3) * bytes * 2,
    (lane) => first + (lane & 3) * bytes + ((lane >> 2) ^ 5) * bytes * 7,
    (lane) => first + lane * bytes + (lane >> 3) * 36,
    (lane) => first + (lane ^ 1) * bytes,
    () => bytes * below(64),
  ];
  const form = forms[below(forms.length)] ?? (() => first);
  return Array.from({ length: 32 }, (_, lane) => form(lane) + (oneIn(400) ? below(SIZE) : 0));
}

/** Tags of earlier accesses by the same and other blocks, and which bytes were written. */
function fillShadow(u32: Uint32Array, stride: number, firstOfBlock: number): void {
  u32.fill(0, TAGS >> 2, BITS >> 2);
  const kind = below(4);
  for (let at = 0; at < stride / 4; at++) {
    for (const list of [0, 2]) {
      const who = kind === 0 || oneIn(3) ? 0 : firstOfBlock + 64 * below(4) + below(35);
      const when = below(kind === 1 || (kind === 3 && !oneIn(100)) ? 8 : 50);
      u32[(TAGS + list * stride) / 4 + at] = who;
      u32[(TAGS + (list + 1) * stride) / 4 + at] = when;
    }
  }
  const unwritten = below(3);
  for (let at = BITS >> 2; at < END >> 2; at++) {
    const isHole = (unwritten === 1 && oneIn(20)) || (unwritten === 2 && !oneIn(4));
    u32[at] = !isHole ? 0xffffffff : oneIn(2) ? 0 : below(2 ** 32);
  }
}

describe("the access checks in WebAssembly", () => {
  it("say and note of a warp as a whole what they say of its lanes one by one", () => {
    const [whole, single] = [machine(), machine()];
    const { u32 } = whole;
    const firstOfBlock = 256;
    let passed = 0;
    for (let round = 0; round < 12_000; round++) {
      const bytes = oneIn(2) ? 4 : 2 ** below(5);
      const grain = oneIn(4)
        ? below(Math.min(2, Math.log2(bytes)) + 1)
        : Math.min(2, Math.log2(bytes));
      const stride = 4 * (((SIZE >> grain) + 7) & ~3);
      if (round % 40 === 0) fillShadow(u32, stride, firstOfBlock);
      const isGlobal = oneIn(2);
      const wide = isGlobal || oneIn(2);
      const base = isGlobal ? 256 * below(100) : 0;
      const offset = 16 * below(3);
      for (const [lane, at] of addresses(bytes).entries()) {
        const address = (at + base - offset) >>> 0;
        u32[(ROW >> 2) + (wide ? 2 * lane : lane)] = address;
        if (wide) u32[(ROW >> 2) + 2 * lane + 1] = oneIn(3000) ? 3 : GLOBAL_TAG;
      }
      const now = 20 + below(4);
      u32[CHECK.warp >> 2] = firstOfBlock + 64 * below(3);
      u32[CHECK.blockLow >> 2] = firstOfBlock;
      u32[CHECK.blockHigh >> 2] = firstOfBlock + 64 * 3;
      u32[CHECK.blockSync >> 2] = 2 * (8 + below(12));
      u32[CHECK.warpSync >> 2] = 2 * (10 + below(now - 9));
      u32[CHECK.foreign >> 2] = 2 * (4 + below(6));
      u32[CHECK.time >> 2] = 2 * now;
      single.u32.set(u32);

      const flags =
        (oneIn(2) ? ACCESS.writes : 0) |
        (oneIn(4) ? ACCESS.untagged : 0) |
        (isGlobal ? ACCESS.global : 0) |
        (wide ? ACCESS.wide : 0) |
        (grain << ACCESS.grainShift);
      const bits = oneIn(2) ? BITS : 0;
      const count = bytes >> grain;
      const name = `access${count >= 4 ? 4 : count}`;
      const check = ({ call }: typeof whole, lanes: number): number =>
        call(name, ROW, offset, lanes, base, SIZE - bytes, bytes, flags, TAGS, stride, bits, 77);
      let failed = 0;
      for (let lane = 0; lane < 32; lane++) failed |= check(single, 1 << lane);
      expect(check(whole, -1)).toBe(failed);
      expect(Buffer.compare(Buffer.from(u32.buffer), Buffer.from(single.u32.buffer))).toBe(0);
      if (failed === 0) passed++;
    }
    expect(passed).toBeGreaterThan(500);
  });

  it("count the sectors of lanes in any order", () => {
    const { u32, call } = machine();
    for (let round = 0; round < 500; round++) {
      const bytes = 2 ** below(5);
      const lanes = oneIn(2) ? -1 : below(2 ** 32) | 0;
      const sectors = new Set<number>();
      for (let lane = 0; lane < 32; lane++) {
        const address = bytes * below(oneIn(2) ? 64 : 4096);
        u32[(ROW >> 2) + lane] = address;
        if ((lanes >>> lane) & 1) sectors.add((address + 64) >> 5);
      }
      expect(call("sectors", ROW, 0, 64, lanes, bytes)).toBe(sectors.size);
    }
  });
});

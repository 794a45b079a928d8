import { describe, expect, it } from "vitest";
import type { Finding, KernelCounters } from "../../../runtime/driver/instrumented-driver.ts";
import { packArgs } from "../../../runtime/driver/kernel-args.ts";
import { openEmulatedDriver } from "../../../runtime/emulator/emulated-driver.ts";

interface Outcome {
  readonly results: Int32Array;
  readonly counters: KernelCounters;
  readonly findings: readonly Finding[];
}

const POOL = 4;

/** Runs a body on one warp; `%r1` to `%r4` begin as 4 · lane + 1 to 4, scrambled, and are the result. */
function run(body: readonly string[], members: string, seed = 0): Outcome {
  const driver = openEmulatedDriver({ sanitizer: true, seed });
  driver.init();
  driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
  const pool = Array.from({ length: POOL }, (_, at) => at + 1);
  const text = `.version 7.8
.target sm_80
.address_size 64
.entry k(.param .u64 out, .param .u32 everybody)
{
.reg .b64 %rd<4>;
.reg .b32 %r<90>;
.reg .pred %p<4>;
.shared .align 4 .b8 slots[128];
ld.param.u64 %rd1, [out];
ld.param.u32 %r80, [everybody];
mov.b32 %r81, -1;
mov.u32 %r10, %laneid;
mov.u32 %r11, slots;
mad.lo.u32 %r11, %r10, 4, %r11;
xor.b32 %r12, %r11, 76;
${pool.map((at) => `mad.lo.u32 %r${at}, %r10, 4, ${at};\nmul.lo.u32 %r${at}, %r${at}, -1640531527;`).join("\n")}
${body.join("\n").replaceAll("MEMBERS", members)}
mad.wide.u32 %rd2, %r10, 16, %rd1;
st.global.v4.u32 [%rd2], {%r1, %r2, %r3, %r4};
ret;
}
`;
  const out = driver.memAlloc(32 * POOL * 4);
  const stream = driver.streamCreate();
  const launch = {
    function: driver.moduleGetFunction(driver.moduleLoadData(new TextEncoder().encode(text)), "k"),
    grid: { x: 1, y: 1, z: 1 },
    block: { x: 32, y: 1, z: 1 },
    args: packArgs([
      { type: "ptr", value: out },
      { type: "i32", value: -1 },
    ]),
  };
  driver.launch(launch, stream);
  driver.streamSynchronize(stream);
  const results = new Int32Array(32 * POOL);
  driver.memcpyDtoH(results, out);
  return { results, counters: driver.counters(), findings: driver.findings() };
}

/** Numbers from 0 up to a bound, the same every time. */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

function choose<T>(below: (bound: number) => number, from: readonly [T, ...T[]]): T {
  return from[below(from.length)] ?? from[0];
}

/** A body of warp-wide operations, arithmetic and shared memory, on registers used again and again. */
function program(seed: number): readonly string[] {
  const below = numbers(seed);
  const register = (): string => `%r${1 + below(POOL)}`;
  const lines: string[] = [];
  for (let step = 0; step < 24; step++) {
    const [d, a, b] = [register(), register(), register()];
    const width = choose(below, [32, 32, 16, 8, 4] as const);
    const mode = choose(below, ["bfly", "bfly", "up", "down", "idx"] as const);
    const clamp = ((32 - width) << 8) | (mode === "up" ? 0 : 31);
    const amount = choose(below, [1, 2, 3, 4, 8, 16, 17, 0, 31] as const);
    const type = choose(below, ["s32", "u32"] as const);
    switch (below(6)) {
      case 0:
      case 1:
        lines.push(
          `mov.b32 %r${20 + step}, ${amount};`,
          `shfl.sync.${mode}.b32 ${d}|%p1, ${a}, %r${20 + step}, ${clamp}, MEMBERS;`,
          `selp.b32 %r13, 3, 7, %p1;`,
          `mad.lo.u32 ${b}, ${b}, 9, %r13;`,
        );
        break;
      case 2:
        lines.push(`shfl.sync.${mode}.b32 ${d}, ${a}, ${b}, ${clamp}, MEMBERS;`);
        break;
      case 3:
        lines.push(
          `setp.lt.${type} %p1, ${a}, ${b};`,
          `vote.sync.ballot.b32 ${d}, ${choose(below, ["", "!"] as const)}%p1, MEMBERS;`,
          `vote.sync.${choose(below, ["any", "all", "uni"] as const)}.pred %p2, %p1, MEMBERS;`,
          `@%p2 add.u32 ${b}, ${b}, ${a};`,
        );
        break;
      case 4: {
        const kind = choose(below, ["add", "min", "max"] as const);
        lines.push(
          `redux.sync.${kind}.${type} %r14, ${a}, MEMBERS;`,
          `redux.sync.${choose(below, ["and", "or", "xor"] as const)}.b32 ${d}, ${b}, MEMBERS;`,
          `xor.b32 ${d}, ${d}, %r14;`,
          `add.u32 ${a}, ${a}, %r10;`,
        );
        break;
      }
      default:
        lines.push(
          `st.shared.u32 [%r11], ${a};`,
          "bar.warp.sync MEMBERS;",
          `ld.shared.u32 ${d}, [%r12];`,
          "bar.warp.sync MEMBERS;",
        );
    }
  }
  return lines;
}

describe("warp-wide operations of full warps", () => {
  // Members that are only known at run time make the host execute the operation.
  it.each(Array.from({ length: 30 }, (_, at) => [at + 1]))(
    "give in lane code what the host gives: program %i",
    (seed) => {
      const body = program(seed);
      const host = run(body, "%r80");
      const lanes = run(body, "%r81");
      expect(host.findings).toEqual([]);
      expect(lanes.findings).toEqual([]);
      expect(lanes.results).toEqual(host.results);
      expect(lanes.counters).toEqual(host.counters);
    },
  );

  it("order memory accesses, and without them a race is found", () => {
    const exchange = (between: readonly string[]) =>
      run(["st.shared.u32 [%r11], %r1;", ...between, "ld.shared.u32 %r2, [%r12];"], "-1");
    expect(exchange(["bar.warp.sync MEMBERS;"]).findings).toEqual([]);
    expect(exchange([]).findings).toMatchObject([{ kind: "race" }]);
  });

  it("stay with the host when lanes are off, which reports members that are not there", () => {
    const body = [
      "setp.lt.u32 %p1, %r10, 16;",
      "@%p1 bra HALF;",
      "bra END;",
      "HALF:",
      "shfl.sync.bfly.b32 %r2, %r1, 4, 31, MEMBERS;",
      "END:",
    ];
    const { results, findings } = run(body, "-1");
    expect(findings).toMatchObject([
      {
        kind: "barrier-divergence",
        message: expect.stringContaining("lanes 0xffff0000") as string,
      },
    ]);
    const scrambled = (lane: number, at: number): number => Math.imul(4 * lane + at, -1640531527);
    expect(results[POOL * 3 + 1]).toBe(scrambled(7, 1));
    expect(results[POOL * 20 + 1]).toBe(scrambled(20, 2));
  });
});

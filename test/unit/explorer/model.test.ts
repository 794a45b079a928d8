import { describe, expect, it } from "vitest";
import {
  formatBytes,
  formatMicroseconds,
  formatPercent,
} from "../../../src/explorer/common/format.ts";
import { arenaBlocks, arenaUse } from "../../../src/explorer/model/arena.ts";
import { generatedRange } from "../../../src/explorer/model/generated-block.ts";
import { lineLinks } from "../../../src/explorer/model/line-links.ts";
import { purposeOf, shortLabel } from "../../../src/explorer/model/names.ts";
import { phasesOf, phaseWork } from "../../../src/explorer/model/phases.ts";
import { rooflinePoints } from "../../../src/explorer/model/roofline.ts";
import { familyWork, kernelWork, workOf } from "../../../src/explorer/model/step.ts";
import { timelineOf } from "../../../src/explorer/model/timeline.ts";
import { smallProgram } from "./small-program.ts";

const program = smallProgram();
const total = (15 * 16) / 2 + 16;

describe("the parts of a step", () => {
  it("are told by labels and families", () => {
    expect(phasesOf(program)).toEqual([
      ...new Array<string>(4).fill("draft"),
      ...new Array<string>(8).fill("verify"),
      "accept",
      "commit",
      "absorb",
      "publish",
    ]);
  });

  it("add up to the whole", () => {
    for (const parts of [phaseWork(program), familyWork(program), kernelWork(program)]) {
      expect(parts.reduce((sum, { time }) => sum + time, 0)).toBe(total);
      expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(16 * 130);
    }
  });

  it("count as measured only where every launch was", () => {
    const [first] = program.launches;
    if (first === undefined) throw new RangeError("no launches");
    expect(workOf([first, first]).measured).toBeUndefined();
    expect(workOf([{ ...first, measured: 3 }, first]).measured).toBeUndefined();
    expect(
      workOf([
        { ...first, measured: 3 },
        { ...first, measured: 4 },
      ]).measured,
    ).toBe(7);
    expect(workOf([]).measured).toBeUndefined();
  });
});

describe("the timeline", () => {
  it("has a bar per launch, end to start, and bars over phases and repetitions", () => {
    const { bars, lanes, length } = timelineOf(program, false);
    expect(length).toBe(total);
    const launches = bars.filter(({ launch }) => launch !== undefined);
    launches.forEach(({ start }, index) => {
      expect(start).toBe(launches[index - 1]?.end ?? 0);
    });
    expect(lanes.slice(0, 2)).toEqual(["phase", "layers"]);
    expect(bars.filter(({ lane }) => lane === 0).map(({ text }) => text)).toEqual([
      "draft",
      "verify",
      "accept",
      "commit",
      "absorb",
      "publish",
    ]);
    expect(bars.filter(({ lane }) => lane === 1).map(({ title }) => title)).toEqual([
      "1 of 3",
      "2 of 3",
      "3 of 3",
    ]);
  });

  it("takes measured times where there are some", () => {
    const launches = program.launches.map((launch, index) =>
      index === 0 ? { ...launch, measured: 101 } : launch,
    );
    expect(timelineOf({ ...program, launches }, true).length).toBe(total + 100);
    expect(timelineOf({ ...program, launches }, false).length).toBe(total);
  });
});

describe("the roofline", () => {
  it("puts a kernel that takes as long as its bytes need onto the roof", () => {
    const [work] = kernelWork(program);
    if (work === undefined) throw new RangeError("no kernels");
    const time = (work.bytes / program.gpu.bandwidth) * 1e6;
    const [point] = rooflinePoints([{ ...work, time }], program.gpu);
    expect(point?.ofRoof).toBeCloseTo(1, 12);
    expect(point?.intensity).toBe(10);
  });

  it("leaves out kernels without operations", () => {
    const works = kernelWork(program).map((work) => ({ ...work, flops: 0 }));
    expect(rooflinePoints(works, program.gpu)).toEqual([]);
  });
});

describe("the arena", () => {
  it("has the bytes of every launch's live buffers in use", () => {
    const scratch = (offset: number, bytes: number, live: readonly [number, number]) =>
      ({ kind: "scratch", label: "x", type: "f32[1]", bytes, offset, live }) as const;
    const blocks = arenaBlocks({
      ...program,
      buffers: [scratch(100, 200, [1, 2]), scratch(0, 100, [0, 1])],
    });
    expect(blocks.map(({ index }) => index)).toEqual([1, 0]);
    expect(arenaUse(blocks, 4)).toEqual([100, 300, 200, 0]);
  });
});

describe("the generated block", () => {
  it("is found in the file it is part of, without its includes", () => {
    const generated = '#include "a.cuh"\n\nstruct Config {};\nvoid kernel() {}\n';
    const cuda = "// a.cuh\nint a;\n\nstruct Config {};\nvoid kernel() {}\n";
    expect(generatedRange(cuda, generated)).toEqual({ first: 4, last: 5 });
    expect(generatedRange(cuda.replace("kernel", "other"), generated)).toBeUndefined();
  });
});

describe("links of lines", () => {
  it("lead both ways, and nowhere for lines of nothing", () => {
    const links = lineLinks([0, 7, 7, 3, 7]);
    expect(links.codeOf(7)).toEqual([2, 3, 5]);
    expect(links.codeOf(4)).toEqual([]);
    expect([1, 2, 3, 4, 5, 6].map((line) => links.sourceOf(line))).toEqual([
      undefined,
      7,
      7,
      3,
      7,
      undefined,
    ]);
  });
});

describe("names", () => {
  it("leave the layer open where a kernel runs for several", () => {
    expect(purposeOf(program, 1)).toBe("layers.*.attention; prefix.attention");
  });

  it("are short without the layer", () => {
    expect(shortLabel("layers.3.down_proj + mlp_residual + layers.4.input_layernorm")).toBe(
      "down_proj + mlp_residual + input_layernorm",
    );
  });
});

describe("numbers", () => {
  it("have three digits and a unit", () => {
    const plain = (text: string) => text.replace(/\u202f/g, " ");
    expect(plain(formatBytes(0))).toBe("0 B");
    expect(plain(formatBytes(999.7e6))).toBe("1 GB");
    expect(plain(formatBytes(13_476_000_000))).toBe("13.5 GB");
    expect(plain(formatBytes(120))).toBe("120 B");
    expect(plain(formatMicroseconds(999.6))).toBe("1 ms");
    expect(plain(formatMicroseconds(7.43))).toBe("7.43 µs");
    expect(plain(formatPercent(0.0004))).toBe("<0.1 %");
    expect(plain(formatPercent(0.843))).toBe("84 %");
  });
});

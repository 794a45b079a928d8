import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { CudaDriver, DevicePtr } from "../../runtime/driver/driver.ts";
import type {
  EmulatorOptions,
  Finding,
  FindingKind,
} from "../../runtime/driver/instrumented-driver.ts";
import { type KernelArg, packArgs } from "../../runtime/driver/kernel-args.ts";
import { openEmulatedDriver } from "../../runtime/emulator/emulated-driver.ts";
import { runKernelCase } from "../conformance/kernels/kernel-case.ts";
import { kernelCases } from "../conformance/kernels/kernel-cases.ts";
import { fixtureFolder, fixtureVersions } from "../conformance/kernels/sources.ts";

const source = readFileSync(new URL("../conformance/cuda/bugs.cu", import.meta.url), "utf8").split(
  "\n",
);
/** Line of bugs.cu that ends with the marker, from 1. */
const lineOf = (marker: string): number =>
  source.findIndex((text) => text.trimEnd().endsWith(`// ${marker}`)) + 1;

const floats = (count: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: count }, (_, i) => i + 1);

/** A driver of the bugs' module, with the calls the tests need and memory that is given back. */
class Bench {
  readonly driver;
  readonly #module;
  readonly #allocated: DevicePtr[] = [];

  constructor(version: string, options: EmulatorOptions = {}) {
    this.driver = openEmulatedDriver(options);
    this.driver.init();
    this.driver.contextSetCurrent(this.driver.primaryContextRetain(this.driver.deviceGet(0)));
    this.#module = this.driver.moduleLoadData(
      readFileSync(new URL("bugs.ptx", fixtureFolder(version))),
    );
  }

  upload(data: ArrayBufferView): DevicePtr {
    const ptr = this.reserve(data.byteLength);
    this.driver.memcpyHtoD(ptr, data);
    return ptr;
  }

  reserve(bytes: number): DevicePtr {
    const ptr = this.driver.memAlloc(bytes);
    this.#allocated.push(ptr);
    return ptr;
  }

  launch(
    name: string,
    grid: number,
    block: number,
    args: readonly (DevicePtr | { readonly int: number } | { readonly float: number })[],
    stream?: Parameters<CudaDriver["launch"]>[1],
  ): void {
    const packed = args.map((arg): KernelArg => {
      if (typeof arg === "number") return { type: "ptr", value: arg };
      return "int" in arg ? { type: "i32", value: arg.int } : { type: "f32", value: arg.float };
    });
    const launch = {
      function: this.driver.moduleGetFunction(this.#module, name),
      grid: { x: grid, y: 1, z: 1 },
      block: { x: block, y: 1, z: 1 },
      args: packArgs(packed),
    };
    if (stream !== undefined) {
      this.driver.launch(launch, stream);
      return;
    }
    const own = this.driver.streamCreate();
    this.driver.launch(launch, own);
    this.driver.streamSynchronize(own);
    this.driver.streamDestroy(own);
  }

  /** Gives everything back and ends; what was found. */
  end(): readonly Finding[] {
    for (const ptr of this.#allocated) {
      try {
        this.driver.memFree(ptr);
      } catch {
        // After a fault nothing can be given back.
      }
    }
    this.driver.close();
    return this.driver.findings();
  }
}

interface Bug {
  readonly name: string;
  readonly kind: FindingKind;
  readonly kernel: string;
  /** Marker of the line that must be named; absent for faults of the host. */
  readonly marker?: string;
  readonly run: (bench: Bench) => void;
  readonly options?: EmulatorOptions;
}

const expectFault = (run: () => void): void => {
  expect(run).toThrow(expect.objectContaining({ name: "CudaError" }) as Error);
};

const bugs: readonly Bug[] = [
  {
    name: "a missing barrier",
    kind: "race",
    kernel: "missing_barrier",
    marker: "missing barrier",
    run: (bench) => bench.launch("missing_barrier", 1, 64, [bench.upload(floats(64))]),
  },
  {
    name: "a missing second barrier of a loop",
    kind: "race",
    kernel: "missing_second_barrier",
    marker: "missing second barrier",
    run: (bench) => {
      const args = [bench.upload(floats(256)), bench.reserve(256), { int: 4 }];
      bench.launch("missing_second_barrier", 1, 64, args);
    },
  },
  {
    name: "a missing wait for an asynchronous copy",
    kind: "missing-wait",
    kernel: "missing_wait",
    marker: "missing-wait",
    run: (bench) =>
      bench.launch("missing_wait", 1, 32, [bench.upload(floats(256)), bench.reserve(128)]),
  },
  {
    name: "a row too many",
    kind: "out-of-bounds",
    kernel: "one_row_too_many",
    marker: "out-of-bounds",
    run: (bench) => {
      const args = [bench.upload(floats(96)), bench.reserve(128), { int: 3 }, { int: 32 }];
      expectFault(() => bench.launch("one_row_too_many", 1, 32, args));
    },
  },
  {
    name: "a misaligned vector",
    kind: "misaligned",
    kernel: "misaligned",
    marker: "misaligned",
    run: (bench) => {
      const args = [bench.upload(floats(132)), bench.reserve(512), { int: 2 }];
      expectFault(() => bench.launch("misaligned", 1, 32, args));
    },
  },
  {
    name: "an accumulator nobody has set",
    kind: "uninitialized",
    kernel: "accumulate",
    marker: "uninitialized",
    run: (bench) =>
      bench.launch("accumulate", 1, 32, [bench.upload(floats(32)), bench.reserve(16)]),
  },
  {
    name: "a shared word nobody has set",
    kind: "uninitialized",
    kernel: "unset_shared",
    marker: "uninitialized shared",
    run: (bench) => bench.launch("unset_shared", 1, 32, [bench.reserve(128)]),
  },
  {
    name: "memory that was given back",
    kind: "use-after-free",
    kernel: "scale",
    marker: "use-after-free",
    run: (bench) => {
      const x = bench.driver.memAlloc(128);
      bench.driver.memsetD8(x, 0, 128);
      bench.driver.memFree(x);
      expectFault(() => bench.launch("scale", 1, 32, [x, { float: 2 }]));
    },
  },
  {
    name: "two blocks that write one word",
    kind: "race",
    kernel: "one_word",
    marker: "race of blocks",
    run: (bench) => bench.launch("one_word", 3, 32, [bench.reserve(12)]),
  },
  {
    name: "a flag passed between blocks without a fence",
    kind: "race",
    kernel: "unfenced",
    marker: "race without a fence",
    run: (bench) => {
      const ticket = bench.upload(new Uint32Array(1));
      bench.launch("unfenced", 4, 32, [
        bench.upload(floats(4)),
        bench.reserve(16),
        ticket,
        bench.reserve(4),
      ]);
    },
  },
  {
    name: "a barrier that half a warp reaches",
    kind: "barrier-divergence",
    kernel: "divergent_barrier",
    marker: "barrier-divergence",
    run: (bench) =>
      expectFault(() => bench.launch("divergent_barrier", 1, 64, [bench.reserve(256)])),
  },
  {
    name: "warps that wait for each other at different barriers",
    kind: "deadlock",
    kernel: "deadlock",
    marker: "deadlock",
    run: (bench) => expectFault(() => bench.launch("deadlock", 1, 64, [bench.reserve(256)])),
  },
  {
    name: "a kernel that never ends",
    kind: "fuel",
    kernel: "endless",
    options: { fuel: 1_000_000 },
    run: (bench) =>
      expectFault(() => bench.launch("endless", 1, 32, [bench.upload(new Int32Array(2))])),
  },
  {
    name: "streams that nothing orders",
    kind: "stream-race",
    kernel: "scale",
    run: (bench) => {
      const { driver } = bench;
      const x = bench.upload(floats(32));
      const [a, b] = [driver.streamCreate(), driver.streamCreate()];
      bench.launch("scale", 1, 32, [x, { float: 2 }], a);
      bench.launch("scale", 1, 32, [x, { float: 3 }], b);
      driver.contextSynchronize();
      for (const stream of [a, b]) driver.streamDestroy(stream);
    },
  },
  {
    name: "a host copy that does not wait for the stream",
    kind: "stream-race",
    kernel: "scale",
    run: (bench) => {
      const { driver } = bench;
      const x = bench.upload(floats(32));
      const stream = driver.streamCreate();
      bench.launch("scale", 1, 32, [x, { float: 2 }], stream);
      driver.streamQuery(stream); // The device has done it; the host does not know.
      const out = new Float32Array(32);
      driver.memcpyDtoH(out, x);
      driver.streamDestroy(stream);
    },
  },
];

describe.each(fixtureVersions())("planted bugs, compiled by NVRTC %s", (version) => {
  it.each(bugs)("reports $name", ({ kind, kernel, marker, run, options }) => {
    for (const seed of [0, 1, 2]) {
      const bench = new Bench(version, { ...options, seed });
      run(bench);
      const findings = bench.end();
      expect(findings.map((finding) => finding.kind)).toContain(kind);
      const finding = findings.find((one) => one.kind === kind);
      expect(finding?.kernel).toBe(kernel);
      expect(finding?.message).not.toBe("");
      if (marker === undefined) continue;
      // A race has two sides: whichever thread came second is reported, with the line of the first.
      const lines = [finding?.line, Number(/bugs\.cu:(\d+)\)/.exec(finding?.message ?? "")?.[1])];
      expect(lines.slice(0, kind === "race" ? 2 : 1)).toContain(lineOf(marker));
      expect(finding?.file).toBe("/kernels/bugs.cu");
      expect(finding?.block).not.toBeNull();
      expect(finding?.thread).not.toBeNull();
      const others = findings.filter((one) => one.kind !== kind);
      // Who reads before the others have written finds nothing there.
      expect(others.map((one) => one.kind)).toEqual(others.map(() => "uninitialized"));
    }
  });

  it("reports memory given back twice", () => {
    const bench = new Bench(version);
    const ptr = bench.driver.memAlloc(16);
    bench.driver.memFree(ptr);
    expectFault(() => bench.driver.memFree(ptr));
    expect(bench.end().map(({ kind }) => kind)).toEqual(["double-free"]);
  });

  it("reports memory never given back", () => {
    const bench = new Bench(version);
    bench.driver.memAlloc(48);
    const [finding, ...others] = bench.end();
    expect(finding).toMatchObject({ kind: "leak", kernel: null });
    expect(finding?.message).toContain("48 bytes");
    expect(others).toEqual([]);
  });

  it("finds nothing without the sanitiser, and runs all the same", () => {
    const bench = new Bench(version, { sanitizer: false });
    bench.launch("missing_barrier", 1, 64, [bench.upload(floats(64))]);
    bench.driver.memAlloc(48);
    expect(bench.end()).toEqual([]);
  });
});

interface Right {
  readonly name: string;
  readonly run: (bench: Bench) => void;
}

const right: readonly Right[] = [
  { name: "a barrier", run: (b) => b.launch("with_barrier", 1, 64, [b.upload(floats(64))]) },
  {
    name: "both barriers of a loop",
    run: (b) =>
      b.launch("both_barriers", 1, 64, [b.upload(floats(256)), b.reserve(256), { int: 4 }]),
  },
  {
    name: "a wait",
    run: (b) => b.launch("with_wait", 1, 32, [b.upload(floats(256)), b.reserve(128)]),
  },
  {
    name: "as many rows as there are",
    run: (b) =>
      b.launch("all_rows", 1, 32, [b.upload(floats(96)), b.reserve(384), { int: 3 }, { int: 32 }]),
  },
  {
    name: "an aligned vector",
    run: (b) => b.launch("misaligned", 1, 32, [b.upload(floats(132)), b.reserve(512), { int: 4 }]),
  },
  {
    name: "an accumulator that was set",
    run: (b) =>
      b.launch("accumulate", 4, 32, [b.upload(floats(32)), b.upload(new Float32Array(4))]),
  },
  {
    name: "blocks with words of their own",
    run: (b) => b.launch("own_words", 3, 32, [b.reserve(12)]),
  },
  {
    name: "streams ordered by an event",
    run: (b) => {
      const { driver } = b;
      const x = b.upload(floats(32));
      const [first, second] = [driver.streamCreate(), driver.streamCreate()];
      const event = driver.eventCreate();
      b.launch("scale", 1, 32, [x, { float: 2 }], first);
      driver.eventRecord(event, first);
      driver.streamWaitEvent(second, event);
      b.launch("scale", 1, 32, [x, { float: 3 }], second);
      driver.streamSynchronize(second);
      const out = new Float32Array(32);
      driver.memcpyDtoH(out, x);
      expect(out[1]).toBe(12);
      for (const stream of [first, second]) driver.streamDestroy(stream);
      driver.eventDestroy(event);
    },
  },
];

describe("right programs over 100 seeds", () => {
  const version = fixtureVersions().at(-1) ?? "";
  const seeds = Array.from({ length: 100 }, (_, seed) => seed);

  it.each(right)("finds nothing wrong with $name", ({ run }) => {
    for (const seed of seeds) {
      const bench = new Bench(version, { seed, memoryBytes: 2 ** 24 });
      run(bench);
      expect(bench.end()).toEqual([]);
    }
  });

  const kernels = kernelCases.filter(({ source: file }) =>
    ["sync", "async", "atomics", "hopper"].includes(file),
  );
  it.each(kernels)("finds nothing wrong with $name", (test) => {
    const image = readFileSync(new URL(`${test.source}.ptx`, fixtureFolder(version)));
    for (const seed of seeds) {
      const driver = openEmulatedDriver({ seed, memoryBytes: 2 ** 24, computeCapability: "9.0" });
      driver.init();
      driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
      runKernelCase(driver, image, test);
      driver.close();
      expect(driver.findings()).toEqual([]);
    }
  });
});

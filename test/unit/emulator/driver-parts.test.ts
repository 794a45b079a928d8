import { describe, expect, it } from "vitest";
import { DeviceMemory, linearOf } from "../../../runtime/emulator/driver/device-memory.ts";
import { WorkQueue } from "../../../runtime/emulator/driver/work-queue.ts";
import { openEmulatedDriver } from "../../../runtime/emulator/emulated-driver.ts";
import { tagged } from "../../../runtime/emulator/layout.ts";

describe("DeviceMemory", () => {
  const make = (quarantine: boolean) =>
    new DeviceMemory({ begin: 4096, end: 4096 + 8192, quarantine });

  it("aligns allocations, leaves gaps and finds them by address", () => {
    const memory = make(true);
    const a = memory.allocate(100, "device");
    const b = memory.allocate(300, "device");
    expect(a?.base).toBe(4096);
    expect((b?.base ?? 0) % 256).toBe(0);
    expect((b?.base ?? 0) - 4096).toBeGreaterThan(256);
    expect(memory.at(4096 + 99)).toBe(a);
    expect(memory.at(4096 + 100)).toBeUndefined();
    expect(memory.byPointer(tagged(b?.base ?? 0))).toBe(b);
    expect(memory.byPointer(tagged(4097))).toBeUndefined();
    expect(linearOf(4096)).toBeUndefined();
  });

  it("keeps freed addresses apart until there are no others", () => {
    const memory = make(true);
    const first = memory.allocate(2048, "device");
    if (first !== undefined) memory.release(first);
    const second = memory.allocate(1024, "device");
    expect(second?.base).not.toBe(first?.base);
    expect(memory.at(4096)).toBe(first);
    expect(memory.allocate(4000, "device")).toBeDefined();
    expect(memory.allocate(1024, "device")?.base).toBe(first?.base);
  });

  it("reuses them at once without a quarantine", () => {
    const memory = make(false);
    const first = memory.allocate(1024, "device");
    if (first !== undefined) memory.release(first);
    expect(memory.allocate(512, "device")?.base).toBe(first?.base);
    expect(memory.allocate(2 ** 40, "device")).toBeUndefined();
  });
});

describe("WorkQueue", () => {
  it("does nothing before somebody waits, then what is needed, in order", () => {
    const queue = new WorkQueue();
    const done: string[] = [];
    const a = queue.add("a", [], () => done.push("a"));
    const b = queue.add("b", [a], () => done.push("b"));
    const other = queue.add("other", [], () => done.push("other"));
    expect(done).toEqual([]);
    queue.settle(b);
    expect(done).toEqual(["a", "b"]);
    queue.settle(b);
    queue.settle(other);
    expect(done).toEqual(["a", "b", "other"]);
  });

  it("tells finished work that nothing orders from work that is ordered", () => {
    const queue = new WorkQueue();
    const a = queue.add("a", [], () => {});
    const b = queue.add("b", [], () => {});
    const c = queue.add("c", [a], () => {});
    queue.execute(a);
    queue.execute(b);
    expect(queue.unordered(c)).toEqual([b]);
    queue.settle(b);
    const d = queue.add("d", [], () => {});
    expect(queue.unordered(d)).toEqual([a]);
  });
});

describe("the emulated driver", () => {
  const open = (options = {}) => {
    const driver = openEmulatedDriver(options);
    driver.init();
    driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
    return driver;
  };
  const ptx = (body: string, target = "sm_80") =>
    new TextEncoder().encode(
      `.version 7.8\n.target ${target}\n.address_size 64\n.entry k()\n{\n${body}\n}\n`,
    );

  it("wants to be initialised and given a context", () => {
    const driver = openEmulatedDriver();
    expect(() => driver.memAlloc(4)).toThrow(
      expect.objectContaining({ code: "cuda/not-initialized" }) as Error,
    );
    driver.init();
    expect(() => driver.memAlloc(4)).toThrow(
      expect.objectContaining({ code: "cuda/invalid-context" }) as Error,
    );
  });

  it("refuses PTX of a newer device and machine code", () => {
    const driver = open();
    expect(() => driver.moduleLoadData(ptx("ret;", "sm_90"))).toThrow(/sm_90/);
    expect(() => driver.moduleLoadData(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2))).toThrow(/cubin/);
    expect(() =>
      open({ computeCapability: "9.0" }).moduleLoadData(ptx("ret;", "sm_90a")),
    ).not.toThrow();
  });

  it.each([
    ["an opcode", ".reg .b32 %r<3>; frobnicate.b32 %r1, %r2;", /frobnicate\.b32.*PTX line 6/],
    ["a type", ".reg .b32 %r<3>; add.u16x2 %r1, %r2, %r2;", /add\.u16x2/],
    ["a special register", ".reg .b32 %r<3>; mov.u32 %r1, %nonsense;", /%nonsense/],
    [
      "a matrix shape",
      ".reg .f32 %f<9>; .reg .b32 %r<9>; mma.sync.aligned.m8n8k128.row.col.f32.b1.b1.f32 {%f1}, {%r1}, {%r2}, {%f1};",
      /m8n8k128/,
    ],
  ])("names %s it does not execute, and never skips it", (_what, body, message) => {
    const driver = open();
    const fn = driver.moduleGetFunction(driver.moduleLoadData(ptx(`${body}\nret;`)), "k");
    const launch = { function: fn, grid: { x: 1, y: 1, z: 1 }, block: { x: 1, y: 1, z: 1 } };
    const args = { bytes: new Uint8Array(0), offsets: [], sizes: [] };
    expect(() => driver.launch({ ...launch, args }, driver.streamCreate())).toThrow(message);
    expect(driver.findings()).toMatchObject([{ kind: "unsupported", kernel: "k" }]);
  });

  it("fails every call after a bad kernel, and still says what was wrong", () => {
    const driver = open();
    const fn = driver.moduleGetFunction(
      driver.moduleLoadData(
        ptx(".reg .b64 %rd<2>; .reg .b32 %r<2>; mov.u64 %rd1, 64; ld.global.u32 %r1, [%rd1]; ret;"),
      ),
      "k",
    );
    const stream = driver.streamCreate();
    const one = { x: 1, y: 1, z: 1 };
    const args = { bytes: new Uint8Array(0), offsets: [], sizes: [] };
    driver.launch({ function: fn, grid: one, block: one, args }, stream);
    const lost = expect.objectContaining({ code: "cuda/illegal-address", sticky: true }) as Error;
    expect(() => driver.streamSynchronize(stream)).toThrow(lost);
    expect(() => driver.memAlloc(4)).toThrow(lost);
    driver.close();
    expect(driver.findings().map(({ kind }) => kind)).toEqual(["out-of-bounds"]);
  });
});

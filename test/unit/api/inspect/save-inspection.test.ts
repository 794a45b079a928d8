import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseKernelSpec } from "../../../../src/api/inspect/kernel-spec.ts";
import { readMeasured } from "../../../../src/api/inspect/measured.ts";
import { saveInspection } from "../../../../src/api/inspect/save-inspection.ts";
import type { Inspection } from "../../../../src/inspection/inspection.ts";

const home = mkdtempSync(join(tmpdir(), "hydrant-inspect-"));
const directory = join(home, "saved");
const options = { shape: "demo", arch: "sm_90", compile: "no" } as const;
let inspection: Inspection;
beforeAll(async () => {
  inspection = await saveInspection(directory, options);
});
afterAll(() => rmSync(home, { recursive: true }));

const entryOf = (family: string): string =>
  inspection.kernels.find((kernel) => kernel.family === family)?.entry ?? "";
const read = (...path: string[]): string => readFileSync(join(directory, ...path), "utf8");

describe("a program as data", () => {
  it("says what it is and how to see it again", () => {
    expect(inspection.title).toBe("demo with hydra++, step over mc_sim_7b_63, sm_90");
    expect(inspection.command).toBe("hydra inspect --shape demo --arch sm_90");
    expect(inspection.gpu).toMatchObject({ arch: "sm_90", name: "H200", multiprocessors: 132 });
    expect(inspection.tree?.parents).toHaveLength(64);
    expect(inspection.model).toContainEqual({ name: "layers", value: "5" });
  });

  it("links nodes, groups, launches and kernels both ways", () => {
    const { nodes, groups, launches, kernels } = inspection;
    for (const [at, group] of groups.entries()) {
      expect(group.nodes.length).toBeGreaterThan(0);
      for (const node of group.nodes) expect(nodes[node]?.group).toBe(at);
      expect(group.launches.length).toBeGreaterThan(0);
      for (const launch of group.launches) expect(launches[launch]?.group).toBe(at);
    }
    expect(launches.filter(({ group }) => group === undefined)).toHaveLength(1);
    for (const { kernel } of launches) expect(kernels[kernel]).toBeDefined();
  });

  it("finds the layers that repeat", () => {
    const layers = inspection.repeats.filter(({ period }) => period === 5);
    expect(layers).toEqual([{ start: expect.any(Number), period: 5, times: 4 }]);
  });

  it("adds memory up: parameters once, keys and values of all layers, the arena", () => {
    const { buffers, memory } = inspection;
    const sum = (kind: string) =>
      buffers.filter((one) => one.kind === kind).reduce((total, { bytes }) => total + bytes, 0);
    expect(memory.weights).toBe(sum("parameter"));
    // Five layers and the heads' own, of 2 heads of 64 in bf16.
    expect(memory.caches).toBe(6 * 2 * memory.capacity * 2 * 64 * 2);
    const ends = buffers.map(({ offset, bytes }) => (offset ?? -bytes) + bytes);
    expect(Math.max(...ends)).toBeLessThanOrEqual(memory.arena);
    for (const { live } of buffers) expect(live[1]).toBeGreaterThanOrEqual(live[0]);
  });
});

describe("a folder of kernels", () => {
  it("has a folder for each with graph, spec and the CUDA twice", () => {
    const folders = inspection.kernels.map(({ entry }) => entry);
    expect(readdirSync(directory).sort()).toEqual(
      [...folders, "inspection.json", "plan.txt"].sort(),
    );
    for (const { entry, cuda } of inspection.kernels) {
      const files = ["graph.txt", "kernel.cu", "reference.cu", "spec.json"];
      expect(readdirSync(join(directory, entry)).sort()).toEqual(files);
      expect(read(entry, "kernel.cu")).toBe(cuda);
      expect(read(entry, "reference.cu")).toBe(cuda);
    }
    expect(read("plan.txt")).toMatch(/^program step \(capacity = /);
    const saved = JSON.parse(read("inspection.json"));
    expect(saved.title).toBe(inspection.title);
    expect(saved.kernels[0]).not.toHaveProperty("cuda");
  });

  it("says which nodes a kernel computes, and what of others it computes in place", () => {
    const text = read(entryOf("attention"), "graph.txt");
    expect(text).toMatch(/^attention {2}# layers\.0\.attention/m);
    expect(text.match(/= attention /g)?.length).toBeGreaterThanOrEqual(5);
    expect(text.match(/= constant /g)).toHaveLength(1);
    expect(read(entryOf("finish"), "graph.txt")).toContain("outputs");
  });

  it("says all it takes to launch a kernel by itself", () => {
    const entry = inspection.kernels.find(({ entry: name }) =>
      name.includes("attention_tree"),
    )?.entry;
    const spec = parseKernelSpec(read(entry ?? "", "spec.json"), "spec.json");
    expect(spec.compileOptions).toContain("--fmad=false");
    expect(spec.compileOptions).toContain("--gpu-architecture=sm_90");
    const [launch] = spec.launches;
    expect(launch).toMatchObject({
      label: expect.stringMatching(/^layers\.0\.attention/),
      count: 5,
    });
    const args = new Map(launch?.args.map((arg) => [arg.name, arg]));
    expect(args.get("keys")).toMatchObject({
      type: "buffer",
      access: "read",
      buffer: { kind: "state", name: "kv.0.k", dtype: "bf16", shape: [1088, 2, 64] },
    });
    expect(args.get("rows")).toMatchObject({ type: "i32", value: 64 });
    const mask = args.get("in_constant");
    const data = mask?.type === "buffer" ? (mask.buffer.data ?? "") : "";
    // The root sees itself alone: the first of 64 words is 1.
    expect(Buffer.from(data, "base64").readBigUInt64LE(0)).toBe(1n);
    expect(Buffer.from(data, "base64")).toHaveLength(64 * 8);
  });

  it("is replaced by the next inspection, unless a kernel was edited", async () => {
    const edited = join(directory, entryOf("finish"), "kernel.cu");
    const before = readFileSync(edited, "utf8");
    writeFileSync(edited, `${before}\n`);
    await expect(saveInspection(directory, options)).rejects.toMatchObject({
      code: "inspect/folder",
      message: expect.stringContaining(entryOf("finish")),
    });
    writeFileSync(edited, before);
    await saveInspection(directory, { ...options, kernel: "finish" });
    expect(readdirSync(directory).sort()).toEqual(
      [entryOf("finish"), "inspection.json", "plan.txt"].sort(),
    );
    await saveInspection(directory, options);
  });

  it("is not written among other files", async () => {
    await expect(saveInspection(home, options)).rejects.toMatchObject({ code: "inspect/folder" });
  });

  it("refuses a spec that is none", () => {
    expect(() => parseKernelSpec("{}", "spec.json")).toThrow(/hydrant-kernel-1/);
    expect(() => parseKernelSpec("{", "spec.json")).toThrow(/Not JSON/);
  });
});

describe("measured times", () => {
  const file = join(home, "times.json");

  it("go to the launches of their kernels", async () => {
    const entry = entryOf("embedding");
    const parts = {
      shapes: { profile: { [entry]: 3.5, other_kernel: 7 } },
      memory: { figures: {} },
    };
    writeFileSync(file, JSON.stringify({ device: "H200", parts }));
    const target = join(home, "measured");
    const { launches, kernels, measured } = await saveInspection(target, {
      ...options,
      kernel: entry,
      measured: file,
    });
    expect(measured).toBe(`${file}, H200`);
    for (const launch of launches)
      expect(launch.measured).toBe(kernels[launch.kernel]?.entry === entry ? 3.5 : undefined);
  });

  it("are refused where there are none", async () => {
    writeFileSync(file, JSON.stringify({ parts: { memory: {} } }));
    await expect(readMeasured(file)).rejects.toMatchObject({ code: "inspect/measured" });
    await expect(readMeasured(join(home, "none.json"))).rejects.toMatchObject({
      code: "inspect/measured",
    });
  });
});

import { afterAll, expect, it } from "vitest";
import type { CudaFunction, CudaModule } from "../../../../runtime/driver/driver.ts";
import { decodeTensorMap } from "../../../../runtime/emulator/driver/tensor-map.ts";
import { openEmulatedDriver } from "../../../../runtime/emulator/emulated-driver.ts";
import { tagged } from "../../../../runtime/emulator/layout.ts";
import { makeKernelSpec } from "../../../../src/api/inspect/make-spec.ts";
import { LaunchMemory } from "../../../../src/api/workbench/launch-memory.ts";
import {
  type Content,
  launchBuffers,
  launchValues,
} from "../../../../src/api/workbench/launch-values.ts";
import type { Graph } from "../../../../src/ir/graph.ts";
import type { Buffer, KernelArgument, Launch, Program } from "../../../../src/ir/program.ts";

const rows = (elements: number, label: string): Buffer => ({
  dtype: "bf16",
  elements,
  bytes: 2 * elements,
  storage: { kind: "scratch", offset: 0 },
  label,
});

const boxes = (boxRows: number): KernelArgument => ({
  name: "map",
  type: "tensor-map",
  buffer: 0,
  access: "read",
  map: { dtype: "bf16", rows: 8, columns: 64, boxRows },
});
const launch = (...args: readonly KernelArgument[]): Launch => ({
  kernel: "k",
  grid: [1, 1, 1],
  args: [{ name: "rows", type: "i32", value: 8 }, ...args],
  label: "",
  traffic: { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 },
});
const out: KernelArgument = { name: "out", type: "buffer", buffer: 1, access: "write" };

const kernel = { entry: "k", family: "linear", source: "", threads: 32, sharedBytes: 0 };
const program: Program = {
  name: "step",
  dims: {},
  kernels: [kernel],
  buffers: [rows(512, "x"), rows(512, "y")],
  launches: [launch(boxes(8), out), launch(boxes(8), out), launch(boxes(4), out)],
  arenaBytes: 0,
  ring: { slotBytes: 16, fields: [] },
};
const graph: Graph = {
  name: "g",
  sources: [],
  nodes: [],
  types: [],
  outputs: [],
  updates: [],
};
const spec = makeKernelSpec(program, graph, kernel, { arch: "sm_90a", compileOptions: [] });
const [described] = spec.launches;
if (described === undefined) throw new Error("there is a launch");

const driver = openEmulatedDriver({ computeCapability: "9.0" });
driver.init();
driver.contextSetCurrent(driver.primaryContextRetain(driver.deviceGet(0)));
afterAll(() => driver.close());

it("launches whose boxes differ are two kinds of launches", () => {
  expect(spec.launches.map(({ count }) => count)).toEqual([2, 1]);
  expect(described.args[1]).toMatchObject({
    type: "tensor-map",
    buffer: { label: "x" },
    map: { rows: 8, columns: 64, boxRows: 8 },
  });
});

it("the matrix behind a map holds random numbers before the launch", () => {
  expect(launchBuffers(described).get(0)).toMatchObject({ access: "read", names: ["map"] });
  const options = { context: 0, temperature: 0, seed: 1 };
  expect(launchValues(spec, described, options).get(0)).toHaveLength(1024);
});

it("a map lies at a multiple of 128 of the arguments and leads to its buffer", () => {
  const values = new Map<number, Content>([
    [0, new Uint8Array(1024)],
    [1, "unwritten"],
  ]);
  const memory = new LaunchMemory(driver, spec, described, values);
  const { args } = memory.kernelLaunch({
    module: 0 as CudaModule,
    function: 0 as CudaFunction,
    shape: { grid: described.grid, threads: 32, dynamicSharedBytes: 0 },
  });
  expect(args.offsets).toEqual([0, 128, 256]);
  expect(args.sizes).toEqual([4, 128, 8]);
  const map = decodeTensorMap(args.bytes.buffer, 128);
  expect(map).toMatchObject({ dtype: "bf16", rows: 8, columns: 64, boxRows: 8 });
  const written = new DataView(args.bytes.buffer).getBigUint64(256, true);
  expect(tagged(map?.base ?? 0)).toBeLessThan(Number(written));
  memory.release();
});

import fc from "fast-check";
import { expect, it } from "vitest";
import { planBuffers } from "../../../codegen/passes/plan-buffers.ts";
import type { Buffer, Launch, Program } from "../../../src/ir/program.ts";

const scratch = (bytes: number): Buffer => ({
  dtype: "f32",
  elements: bytes / 4,
  bytes,
  storage: { kind: "scratch", offset: -1 },
  label: "scratch",
});

const launch = (buffers: readonly number[]): Launch => ({
  kernel: "k",
  grid: [1, 1, 1],
  args: buffers.map((buffer) => ({ name: "p", type: "buffer", buffer, access: "update" })),
  label: "",
  traffic: { weightBytes: 0, readBytes: 0, writtenBytes: 0, flops: 0 },
});

const programs = fc
  .tuple(
    fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 20 }),
    fc.array(fc.array(fc.nat(19), { maxLength: 4 }), { minLength: 1, maxLength: 30 }),
  )
  .map(
    ([sizes, uses]): Program => ({
      name: "p",
      dims: {},
      kernels: [],
      buffers: sizes.map((size) => scratch(4 * size)),
      launches: uses.map((buffers) => launch(buffers.map((id) => id % sizes.length))),
      arenaBytes: 0,
      ring: { slotBytes: 16, fields: [] },
    }),
  );

const spans = (program: Program) =>
  program.buffers.map(({ bytes, storage }, id) => {
    const using = program.launches.flatMap(({ args }, index) =>
      args.some((arg) => arg.type === "buffer" && arg.buffer === id) ? [index] : [],
    );
    const offset = storage.kind === "scratch" ? storage.offset : 0;
    return { id, bytes, offset, first: Math.min(...using), last: Math.max(...using) };
  });

it("buffers that are alive together never share memory", () => {
  fc.assert(
    fc.property(programs, (program) => {
      const planned = spans(planBuffers(program));
      for (const a of planned) {
        for (const b of planned) {
          const together = a.id < b.id && a.first <= b.last && b.first <= a.last;
          const apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
          expect(!together || apart).toBe(true);
        }
      }
    }),
    { seed: 7, numRuns: 300 },
  );
});

it("every buffer lies inside the arena, aligned for wide loads", () => {
  fc.assert(
    fc.property(programs, (program) => {
      const planned = planBuffers(program);
      for (const { offset, bytes, first } of spans(planned)) {
        if (first === Number.POSITIVE_INFINITY) continue;
        expect(offset % 256).toBe(0);
        expect(offset + bytes).toBeLessThanOrEqual(planned.arenaBytes);
      }
    }),
    { seed: 8, numRuns: 300 },
  );
});

it("a chain of buffers needs memory for two", () => {
  const program: Program = {
    name: "p",
    dims: {},
    kernels: [],
    buffers: Array.from({ length: 10 }, () => scratch(1024)),
    launches: Array.from({ length: 9 }, (_, i) => launch([i, i + 1])),
    arenaBytes: 0,
    ring: { slotBytes: 16, fields: [] },
  };
  expect(planBuffers(program).arenaBytes).toBe(2048);
});

it("a matrix that is read through a tensor map keeps its memory until then", () => {
  const map = { dtype: "bf16", rows: 8, columns: 64, boxRows: 8 } as const;
  const reader: Launch = {
    ...launch([2]),
    args: [
      { name: "matrix", type: "tensor-map", buffer: 0, access: "read", map },
      { name: "out", type: "buffer", buffer: 2, access: "write" },
    ],
  };
  const { arenaBytes, buffers } = planBuffers({
    name: "p",
    dims: {},
    kernels: [],
    buffers: [scratch(1024), scratch(1024), scratch(1024)],
    launches: [launch([0]), launch([1]), reader],
    arenaBytes: 0,
    ring: { slotBytes: 16, fields: [] },
  });
  const [matrix, between, out] = buffers.map(({ storage }) => storage);
  expect(matrix).not.toEqual(between);
  expect(matrix).not.toEqual(out);
  expect(arenaBytes).toBe(2048);
});

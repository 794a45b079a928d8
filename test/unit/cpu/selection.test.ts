import fc from "fast-check";
import { expect, test } from "vitest";
import { KernelHarness } from "./kernel-harness.ts";

const harness = new KernelHarness();
/** Few different values, so that ties are common; NaN and infinities among them. */
const element = fc.constantFrom(
  ...[-2, -1, 0, 0, 1, 1, 2, 3, 5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
);
const matrix = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 90 }))
  .chain(([rows, columns]) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      data: fc.array(element, { minLength: rows * columns, maxLength: rows * columns }),
    }),
  );
const rank = (value: number) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value);

test("argmax gives the lowest index of the largest number", () => {
  fc.assert(
    fc.property(matrix, ({ rows, columns, data }) => {
      const x = harness.f32(data);
      const ids = harness.allocate(4 * rows);
      harness.split("argmax", { x, ids, columns }, rows, 2);
      for (let row = 0; row < rows; row++) {
        const values = data.slice(row * columns, (row + 1) * columns).map(rank);
        expect(harness.ints(ids, rows)[row]).toBe(values.indexOf(Math.max(...values)));
      }
    }),
    { numRuns: 200, seed: 11 },
  );
});

test("topk gives the k largest in descending order, ties by lower index", () => {
  fc.assert(
    fc.property(matrix, fc.integer({ min: 1, max: 64 }), ({ rows, columns, data }, wanted) => {
      const k = Math.min(wanted, columns);
      const x = harness.f32(data);
      const ids = harness.allocate(4 * rows * k);
      const values = harness.allocate(4 * rows * k);
      harness.split("topk", { x, values, ids, k, columns }, rows, 2);
      for (let row = 0; row < rows; row++) {
        const ranks = data.slice(row * columns, (row + 1) * columns).map(rank);
        const order = [...ranks.keys()]
          .sort((a, b) => {
            const [p = 0, q = 0] = [ranks[a], ranks[b]];
            return p === q ? a - b : q - p;
          })
          .slice(0, k);
        expect([...harness.ints(ids, rows * k).subarray(row * k, (row + 1) * k)]).toEqual(order);
        expect([...harness.view(values, rows * k).subarray(row * k, (row + 1) * k)]).toEqual(
          order.map((at) => ranks[at]),
        );
      }
    }),
    { numRuns: 200, seed: 12 },
  );
});

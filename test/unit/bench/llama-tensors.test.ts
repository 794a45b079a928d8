import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { interleaveHalves } from "../../../bench/gguf/llama-tensors.ts";

describe("the row order of queries and keys", () => {
  it("pairs row i of a head's first half with row i of its second, head by head", () => {
    const rows = Uint8Array.from({ length: 2 * 6 * 2 }, (_, byte) => byte >> 1);
    const order = interleaveHalves(rows, 2, 6).filter((_, byte) => byte % 2 === 0);
    expect([...order]).toEqual([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
  });

  it("leaves query times key unchanged under the other rotation", () => {
    const headDim = 8;
    const vector = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), {
      minLength: headDim,
      maxLength: headDim,
    });
    fc.assert(
      fc.property(vector, vector, fc.nat(500), fc.nat(500), (query, key, p, q) => {
        const halves = dot(rotateHalves(query, p), rotateHalves(key, q));
        const pairs = dot(rotatePairs(permuted(query), p), rotatePairs(permuted(key), q));
        expect(pairs).toBeCloseTo(halves, 9);
      }),
      { seed: 11, numRuns: 50 },
    );
  });
});

/** The permutation of one head, read off the rows of a matrix with one byte per row. */
function permuted(vector: readonly number[]): number[] {
  const rows = Uint8Array.from(vector, (_, row) => row);
  return Array.from(interleaveHalves(rows, 1, vector.length), (row) => vector[row] ?? Number.NaN);
}

function rotateHalves(vector: readonly number[], position: number): number[] {
  const half = vector.length / 2;
  const out = [...vector];
  for (let i = 0; i < half; i++)
    rotate(vector, out, [i, i + half], angle(position, i, vector.length));
  return out;
}

function rotatePairs(vector: readonly number[], position: number): number[] {
  const out = [...vector];
  for (let i = 0; i < vector.length / 2; i++)
    rotate(vector, out, [2 * i, 2 * i + 1], angle(position, i, vector.length));
  return out;
}

function rotate(
  from: readonly number[],
  to: number[],
  [a, b]: readonly [number, number],
  theta: number,
): void {
  const [x = 0, y = 0] = [from[a], from[b]];
  to[a] = x * Math.cos(theta) - y * Math.sin(theta);
  to[b] = x * Math.sin(theta) + y * Math.cos(theta);
}

function angle(position: number, pair: number, headDim: number): number {
  return position * 10000 ** ((-2 * pair) / headDim);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
}

import { expect } from "vitest";
import { parseKernelArg, runKernel } from "../../src/index.ts";

/** Runs a kernel over `count` elements, one thread each, and returns its buffers. */
export async function runAll(
  body: string,
  args: readonly string[],
  count: number,
  arch = "sm_80",
): Promise<ArrayBuffer[]> {
  const { buffers, findings } = await runKernel({
    source: `#include "prelude/all.cuh"\nextern "C" __global__ void k(${body}`,
    fileName: "prelude-test.cu",
    entry: "k",
    grid: { x: Math.ceil(count / 256), y: 1, z: 1 },
    block: { x: Math.min(count, 256), y: 1, z: 1 },
    args: args.map(parseKernelArg),
    arch,
    seed: 3,
  });
  expect(findings).toEqual([]);
  return buffers.map((bytes) => new Uint8Array(bytes ?? []).buffer);
}

/** The first buffer alone. */
export async function runOne(
  body: string,
  args: readonly string[],
  count: number,
): Promise<ArrayBuffer> {
  const [first = new ArrayBuffer(0)] = await runAll(body, args, count);
  return first;
}

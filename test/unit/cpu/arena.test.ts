import fc from "fast-check";
import { expect, test } from "vitest";
import { Arena } from "../../../runtime/cpu/arena.ts";
import { HydrantError } from "../../../src/util/errors.ts";

test("blocks never overlap, are zeroed and aligned, whatever is released in between", () => {
  const command = fc.record({ bytes: fc.integer({ min: 0, max: 5000 }), drop: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const arena = new Arena();
      const held: { address: number; bytes: number; mark: number }[] = [];
      for (const [mark, { bytes, drop }] of commands.entries()) {
        const address = arena.allocate(bytes);
        expect(address % 128).toBe(0);
        expect(arena.bytes(address, bytes).every((byte) => byte === 0)).toBe(true);
        arena.bytes(address, bytes).fill(1 + mark);
        held.push({ address, bytes, mark });
        const [gone] = drop < held.length ? held.splice(drop, 1) : [];
        if (gone !== undefined) arena.release(gone.address);
        for (const block of held) {
          const intact = arena.bytes(block.address, block.bytes).every((b) => b === 1 + block.mark);
          expect(intact).toBe(true);
        }
      }
      for (const { address } of held) arena.release(address);
      expect(arena.used).toBe(0);
    }),
    { numRuns: 20, seed: 5 },
  );
});

test("released memory is used again", () => {
  const arena = new Arena();
  const first = arena.allocate(1000);
  const second = arena.allocate(1000);
  arena.allocate(10);
  arena.release(first);
  arena.release(second);
  expect(arena.allocate(2000)).toBe(first);
});

test("a block that cannot be had is refused in one line, and smaller ones still work", () => {
  const arena = new Arena();
  let error: unknown;
  try {
    arena.allocate(2 ** 32);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(HydrantError);
  expect((error as HydrantError).code).toBe("executor/memory");
  expect((error as HydrantError).oneLine).toContain("WebAssembly memory ends at 4 GiB");
  expect(arena.allocate(100)).toBeGreaterThan(0);
});

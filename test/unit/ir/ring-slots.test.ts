import { describe, expect, it } from "vitest";
import { ringSlots } from "../../../src/ir/program.ts";

describe("the slots of a ring", () => {
  it("are enough for a loop of steps over the published trees", () => {
    for (const slotBytes of [16, 352, 2048]) expect(ringSlots(slotBytes)).toBe(64);
  });

  it("are few where outputs are large, and take 128 KiB unless four of them take more", () => {
    for (let slotBytes = 16; slotBytes < 2 ** 26; slotBytes *= 2) {
      const slots = ringSlots(slotBytes);
      expect(Number.isInteger(slots)).toBe(true);
      expect(slots).toBeGreaterThanOrEqual(4);
      expect(slots * slotBytes).toBeLessThanOrEqual(Math.max(2 ** 17, 4 * slotBytes));
    }
  });
});

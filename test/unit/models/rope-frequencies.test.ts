import { describe, expect, it } from "vitest";
import { inverseFrequencies } from "../../../src/models/rope-frequencies.ts";

const plain = { headDim: 64, rope: { theta: 10000, scaling: { type: "default" } } } as const;

describe("rotary frequencies", () => {
  it("fall from 1 by equal factors to theta^-(1 - 2/d)", () => {
    const frequencies = inverseFrequencies(plain);
    expect(frequencies).toHaveLength(32);
    expect(frequencies[0]).toBe(1);
    expect(frequencies[31]).toBeCloseTo(10000 ** (-62 / 64), 12);
    expect((frequencies[5] ?? 0) / (frequencies[4] ?? 1)).toBeCloseTo(10000 ** (-1 / 32), 12);
  });

  it("are divided by the factor under linear scaling", () => {
    const scaled = inverseFrequencies({
      headDim: 64,
      rope: { theta: 10000, scaling: { type: "linear", factor: 4 } },
    });
    expect(scaled).toEqual(inverseFrequencies(plain).map((frequency) => frequency / 4));
  });

  it("under llama3 scaling keep short waves, divide long ones and blend between", () => {
    const scaling = {
      type: "llama3",
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 8192,
    } as const;
    const before = inverseFrequencies({
      headDim: 128,
      rope: { theta: 500000, scaling: { type: "default" } },
    });
    const after = inverseFrequencies({ headDim: 128, rope: { theta: 500000, scaling } });
    let blended = 0;
    for (const [i, frequency] of before.entries()) {
      const wavelength = (2 * Math.PI) / frequency;
      const scaled = after[i] ?? 0;
      if (wavelength < 8192 / 4) expect(scaled).toBe(frequency);
      else if (wavelength > 8192) expect(scaled).toBe(frequency / 8);
      else {
        blended++;
        expect(scaled).toBeGreaterThan(frequency / 8);
        expect(scaled).toBeLessThan(frequency);
      }
    }
    expect(blended).toBeGreaterThan(3);
    // One wave in the blend, worked out by hand: i = 32, frequency 500000^-0.5, wavelength 4442.88.
    expect(after[32]).toBeCloseTo(0.000524846, 8);
  });
});

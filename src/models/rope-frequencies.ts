import type { ModelConfig } from "./config.ts";

/**
 * Inverse frequencies of rotary embedding, one per pair: f32[headDim / 2]. The scaling rules
 * (linear, llama3) change only these numbers, so no executor knows about them.
 */
export function inverseFrequencies(config: Pick<ModelConfig, "headDim" | "rope">): number[] {
  const { theta, scaling } = config.rope;
  const half = config.headDim / 2;
  const plain = Array.from({ length: half }, (_, i) => theta ** (-i / half));
  switch (scaling.type) {
    case "default":
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / scaling.factor);
    case "llama3": {
      const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
      return plain.map((frequency) => {
        const wavelength = (2 * Math.PI) / frequency;
        if (wavelength > originalMaxPositions / lowFreqFactor) return frequency / factor;
        if (wavelength < originalMaxPositions / highFreqFactor) return frequency;
        const smooth =
          (originalMaxPositions / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
        return ((1 - smooth) * frequency) / factor + smooth * frequency;
      });
    }
    default:
      return scaling satisfies never;
  }
}

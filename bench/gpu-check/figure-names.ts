/* What parts call the figures and notes that the table of targets is made of: written and read by these. */

export const plainStep = "plain step";
export const treeStep = "hydra++, 63-node tree";

/** Of the parts of a shape. */
export const shapeNames = {
  step: (what: string, context: number): string => `${what} at ${context}`,
  apart: (step: string): string => `${step}, launches apart`,
  deviceTime: (step: string): string => `${step}, device time`,
  /** Sum of launches, each timed by itself. */
  launches: (step: string): string => `${step}: all launches, one by one`,
  phase: (step: string, phase: string): string => `${step}, phase: ${phase}`,
  weightsRead: (what: string): string => `${what}: weights read, GB`,
  memory: (decoder: string): string => `${decoder}: memory beyond weights and caches`,
  prompt: (decoder: string, tokens: number): string => `${decoder}: prompt of ${tokens}`,
} as const;

/** Of the part `cublas`. */
export const productNames = {
  own: (shape: string, product: string, rows: number): string =>
    `${shape} ${product}, ${rows} rows`,
  cublas: (own: string): string => `${own}: cuBLAS`,
  rate: (own: string): string => `${own}: GB/s`,
  prompt: (shape: string, tokens: number): string =>
    `${shape}: products of a prompt of ${tokens}, cuBLAS`,
} as const;

/** Of the part `tree-attention`. */
export const attentionName = (shape: string, entry: string, rows: number): string =>
  `${shape}, ${entry}, ${rows} rows`;

/** Of the part `texts`. */
export const textNames = {
  compared: (model: string): string => `${model}: texts compared`,
  same: (model: string): string => `${model}: texts with the same tokens`,
} as const;

/** Of the part `torch`. @param name as the peer calls it: `eager at 512`. */
export const torchName = (peer: string, name: string): string => `${peer}, ${name}`;

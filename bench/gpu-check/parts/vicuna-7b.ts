import { measureShape } from "../measure-shape.ts";
import type { PartContext } from "../part.ts";

export const run = (part: PartContext): Promise<void> =>
  measureShape(part, "vicuna-7b", { comparesOverlap: true });

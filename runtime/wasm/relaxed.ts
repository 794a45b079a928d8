/** The relaxed-SIMD instructions we use: engines may lack them, so callers must probe first. */
import { type Expr, operation } from "./expression.ts";

type Vec = Expr<"v128">;
const madd =
  (opcode: number) =>
  (first: Vec, second: Vec, third: Vec): Vec =>
    operation("v128", opcode, [first, second, third]);

/** `first * second + third`, rounded once or twice as the machine likes. */
export const relaxedMadd = { f32x4: madd(0xfd0105), f64x2: madd(0xfd0107) } as const;

import type { Node, ValueId } from "../../src/ir/graph.ts";
import { writesFirstOperand } from "../../src/ir/op.ts";
import type { BufferId, Target } from "../../src/ir/program.ts";
import type { TensorType } from "../../src/ir/shape.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { Analysis } from "../analysis.ts";
import { Buffers } from "./buffers.ts";

/** Partial sums of squares of rows that a split norm's products scale by. */
export interface RowSums {
  readonly sums: BufferId;
  readonly parts: number;
  readonly width: number;
  readonly eps: number;
}

/** What a product kept of its rows: the best outputs of every tile. */
export interface BestOutputs {
  readonly values: BufferId;
  readonly ids: BufferId;
  readonly tiles: number;
  /** Outputs of a tile; the last one may have fewer. */
  readonly tileWidth: number;
}

/** What lowering knows beyond the graph: where values are in memory. */
export class LoweringContext {
  readonly analysis: Analysis;
  readonly target: Target;
  readonly buffers: Buffers;
  /** By the rounded x·w that products take for their activation. */
  readonly rowSums = new Map<ValueId, RowSums>();
  /** By logits. */
  readonly bestOutputs = new Map<ValueId, BestOutputs>();
  readonly #stored = new Map<ValueId, BufferId>();

  constructor(analysis: Analysis, target: Target) {
    this.analysis = analysis;
    this.target = target;
    this.buffers = new Buffers(analysis.graph);
  }

  typeOf(value: ValueId): TensorType {
    return this.buffers.typeOf(value);
  }

  /** Extents of a value; every symbol is bound by now. */
  shapeOf(value: ValueId): readonly number[] {
    return this.typeOf(value).shape.map(Number);
  }

  /**
   * Arena memory for a value some kernel is about to store.
   * @param part which result of its node it is, for nodes with several of one type.
   */
  store(value: ValueId, part?: string): BufferId {
    const known = this.#stored.get(value);
    if (known !== undefined) return known;
    const label = this.analysis.maker(value)?.label ?? `%${value}`;
    const whole = part === undefined ? label : `${label}: ${part}`;
    const id = this.buffers.scratch(this.typeOf(value), whole);
    this.#stored.set(value, id);
    return id;
  }

  /** Says where a value has been stored. */
  place(value: ValueId, buffer: BufferId): void {
    this.#stored.set(value, buffer);
  }

  /** Where a value is in memory, if it is: views share memory, written caches are their state. */
  find(value: ValueId): BufferId | undefined {
    const stored = this.#stored.get(value);
    if (stored !== undefined) return stored;
    const maker = this.analysis.maker(value);
    if (maker === undefined) return this.buffers.source(value);
    const [first = -1] = maker.operands;
    if (writesFirstOperand(maker.op) || maker.op === "reshape") return this.find(first);
    return maker.op === "constant" ? this.buffers.constant(maker) : undefined;
  }

  /** @throws HydrantError `codegen/no-memory` for a value no kernel has stored: a bug of ours. */
  buffer(value: ValueId): BufferId {
    const found = this.find(value);
    if (found === undefined) {
      throw new HydrantError("codegen/no-memory", `%${value} is read before a kernel stores it.`, {
        path: `${this.analysis.graph.name}/${this.analysis.maker(value)?.label ?? `%${value}`}`,
      });
    }
    return found;
  }

  /** Results of `nodes` that somebody else needs in memory. */
  wanted(nodes: readonly Node[]): readonly ValueId[] {
    const inside = new Set(nodes);
    return nodes
      .flatMap(({ results }) => results)
      .filter((value) => this.analysis.usedOutside(value, inside));
  }
}

/** What people call a group: its nodes' labels, the shared start written once. */
export function groupLabel(nodes: readonly Node[]): string {
  const labels = nodes.flatMap(({ label }) => (label === undefined ? [] : [label]));
  const [first = nodes[0]?.op ?? ""] = labels;
  const scope = first.slice(0, first.lastIndexOf(".") + 1);
  const rest = labels
    .slice(1)
    .map((label) => (label.startsWith(scope) ? label.slice(scope.length) : label));
  return [first, ...new Set(rest)].join(" + ");
}

import { finish } from "../../kernels/finish/finish.ts";
import type { KernelCall } from "../../kernels/entry.ts";
import { byteSize } from "../../src/ir/dtype.ts";
import { writesFirstOperand } from "../../src/ir/op.ts";
import type { KernelSource, Program, RingField, Target } from "../../src/ir/program.ts";
import type { DimBindings } from "../../src/ir/shape.ts";
import { Analysis } from "../analysis.ts";
import type { FusedGraph, Group } from "../fused-graph.ts";
import { LoweringContext } from "./context.ts";
import { elementsOfValue } from "./expression.ts";
import { lowerAttention } from "./attention.ts";
import { lowerCacheCommit, lowerCacheWrite } from "./caches.ts";
import { lowerAccept, lowerTopk } from "./choices.ts";
import { lowerLinear, lowerRopeLinear, lowerTopkLinear } from "./products.ts";
import { lowerElementwise, lowerEmbedding, lowerRmsNorm, lowerRope } from "./rows.ts";

/**
 * Groups to kernels: every group in its order becomes launches, then one more puts the new values of
 * the small states in place and publishes the outputs. Arena buffers have no places yet.
 */
export function lower(fused: FusedGraph, dims: DimBindings, target: Target): Program {
  const context = new LoweringContext(new Analysis(fused), target);
  const calls = fused.groups.flatMap((group, index) =>
    lowerGroup(context, group).map(({ kernel, launch }) => ({
      kernel,
      launch: { ...launch, group: index },
    })),
  );
  const { call, ring } = lowerFinish(context);
  const kernels = new Map<string, KernelSource>();
  for (const { kernel } of [...calls, call]) kernels.set(kernel.entry, kernel);
  return {
    name: fused.graph.name,
    dims,
    kernels: [...kernels.values()],
    buffers: context.buffers.all,
    launches: [...calls.map(({ launch }) => launch), call.launch],
    arenaBytes: 0,
    ring,
  };
}

function lowerGroup(context: LoweringContext, group: Group): readonly KernelCall[] {
  switch (group.kind) {
    case "linear":
      return lowerLinear(context, group);
    case "rope_linear":
      return lowerRopeLinear(context, group);
    case "topk_linear":
      return lowerTopkLinear(context, group);
    case "attention":
      return lowerAttention(context, group);
    case "rms_norm":
      return lowerRmsNorm(context, group);
    case "embedding":
      return lowerEmbedding(context, group);
    case "rope":
      return lowerRope(context, group);
    case "cache_write":
      return lowerCacheWrite(context, group);
    case "cache_commit":
      return lowerCacheCommit(context, group);
    case "topk":
      return lowerTopk(context, group);
    case "accept":
      return lowerAccept(context, group);
    case "elementwise":
      return lowerElementwise(context, group);
    default:
      return group.kind satisfies never;
  }
}

/** Bytes before the first output of a ring slot: the slot's number, padded. */
const slotHeader = 16;

function lowerFinish(context: LoweringContext): { call: KernelCall; ring: Program["ring"] } {
  const { graph } = context.analysis;
  const fields: RingField[] = [];
  let offset = slotHeader;
  for (const { name, value } of graph.outputs) {
    const { dtype } = context.typeOf(value);
    const elements = context.analysis.elements(value);
    fields.push({ name, dtype, elements, offset });
    offset += Math.ceil((elements * byteSize(dtype)) / 16) * 16;
  }
  const ring = { slotBytes: offset, fields };
  const states = new Map(
    graph.sources.flatMap(({ kind, name, value }) => (kind === "state" ? [[name, value]] : [])),
  );
  const updates = graph.updates.flatMap(({ state, value }) => {
    const maker = context.analysis.maker(value);
    const source = states.get(state) ?? -1;
    // A cache was changed in place already.
    const inPlace = maker !== undefined && writesFirstOperand(maker.op);
    if ((inPlace && context.find(value) === context.find(source)) || value === source) return [];
    return [
      {
        value: elementsOfValue(context, value),
        state: context.buffer(source),
        dtype: context.typeOf(value).dtype,
        elements: context.analysis.elements(value),
      },
    ];
  });
  const call = finish(
    {
      updates,
      outputs: graph.outputs.flatMap(({ value }, index) => {
        const field = fields[index];
        return field === undefined ? [] : [{ ...field, value: elementsOfValue(context, value) }];
      }),
      slotBytes: ring.slotBytes,
      number: context.buffers.state("ring.number", { dtype: "i32", shape: [1] }),
      label: "finish",
    },
    context.buffers.memory,
  );
  return { call, ring };
}

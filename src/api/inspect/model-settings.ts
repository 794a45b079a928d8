import type { Inspection } from "../../inspection/inspection.ts";
import type { Subject } from "./subject.ts";

/** Settings of base model, heads and run worth showing, in order. */
export function modelSettings({ base, drafter, dims, target, tree }: Subject): Inspection["model"] {
  const { config } = base;
  const weight = "model.layers.0.self_attn.q_proj.weight";
  const settings: readonly (readonly [string, string | number | undefined])[] = [
    ["architecture", config.architecture],
    ["layers", config.layers],
    ["hidden size", config.hiddenSize],
    ["intermediate size", config.intermediateSize],
    ["heads", config.heads],
    ["key and value heads", config.kvHeads === config.heads ? undefined : config.kvHeads],
    ["head size", config.headDim],
    ["vocabulary", config.vocabSize],
    ["positions", config.maxPositions],
    ["weights", base.storedType(weight)],
    ["caches", base.cacheType],
    ["draft heads", drafter.maxDepth === 0 ? "none" : drafter.name],
    [
      "draft depth",
      drafter.maxDepth > 0 && Number.isFinite(drafter.maxDepth) ? drafter.maxDepth : undefined,
    ],
    ["tree nodes", tree === undefined || tree.size === 1 ? undefined : tree.size],
    ["rows", dims.rows],
    ["cache slots", dims.capacity],
    ["activations", target.activations === "f32" ? "f32" : undefined],
  ];
  return settings.flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value: String(value) }],
  );
}

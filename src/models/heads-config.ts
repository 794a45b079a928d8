import { JsonFields } from "../util/json-fields.ts";

/** Bounds the graph that is built before the weights are compared with it; public heads have 4. */
const maxHeadLayers = 256;

const hydraArchitectures = ["mlp", "prefix-mlp", "eagle-attn", "cross-attn"] as const;
export type HydraArchitecture = (typeof hydraArchitectures)[number];

/** Settings of a set of draft heads; sizes come from the base model. */
export type HeadsConfig =
  | {
      readonly kind: "hydra";
      readonly arch: HydraArchitecture;
      readonly numHeads: number;
      /** Residual blocks of a head; all after the first are one shared block. */
      readonly numLayers: number;
      /** Heads see the tokens drafted before theirs. */
      readonly grounded: boolean;
      /** 0: the base's normed output; k > 0: input of its k-th layer from the end. */
      readonly hiddenStateOffset: number;
      /** Path or hub id of the base the heads were trained for, as the file gives it. */
      readonly baseModel?: string | undefined;
    }
  | {
      readonly kind: "medusa";
      /** Advisory: public files say 2 and hold 5. Count the heads in the weights. */
      readonly numHeads: number;
      readonly numLayers: number;
      /** Version 2 heads have no output matrix and use the base model's. */
      readonly ownLmHeads: boolean;
      readonly baseModel?: string | undefined;
    };

/**
 * Reads the config.json beside a set of Hydra or Medusa heads (fields of the public Hydra and
 * Medusa repositories, whose defaults fill what is absent).
 *
 * @param json the parsed file; @param file its name, for errors
 * @param kind what the weights beside it are, for files that do not say
 * @throws HydrantError `config/bad-field`, `config/unsupported`
 */
export function parseHeadsConfig(
  json: unknown,
  file: string,
  kind?: HeadsConfig["kind"],
): HeadsConfig {
  const fields = new JsonFields(json, file);
  const found = kind ?? detectKind(fields);
  switch (found) {
    case "hydra":
      return parseHydra(fields);
    case "medusa":
      return parseMedusa(fields);
    default:
      return found satisfies never;
  }
}

function detectKind(fields: JsonFields): HeadsConfig["kind"] {
  const names = fields.names();
  if (names.some((name) => name.startsWith("hydra_") || name === "grounded_heads")) return "hydra";
  if (names.some((name) => name.startsWith("medusa_")) || fields.raw("model_type") === "medusa")
    return "medusa";
  throw fields.unsupported(
    "hydra_num_heads",
    "The file describes neither Hydra nor Medusa heads (no hydra_ or medusa_ field).",
    "Point --heads at a directory with hydra_lm_head or medusa_lm_head weights beside their config.json.",
  );
}

function parseHydra(fields: JsonFields): HeadsConfig {
  const named = fields.optionalString("hydra_head_arch") ?? "mlp";
  const arch = hydraArchitectures.find((known) => known === named);
  if (arch === undefined) {
    throw fields.unsupported(
      "hydra_head_arch",
      `Head architecture ${named.slice(0, 40)} is not supported.`,
      `Supported are ${hydraArchitectures.join(", ")}.`,
    );
  }
  const recurrent = arch === "eagle-attn" || arch === "cross-attn";
  const numHeads = fields.optionalInteger("hydra_num_heads", 1) ?? (recurrent ? 1 : 4);
  const numLayers = fields.optionalInteger("hydra_num_layers", 1, maxHeadLayers) ?? 1;
  const grounded = fields.optionalBoolean("grounded_heads") ?? recurrent;
  if (recurrent && numHeads !== 1)
    throw fields.bad("hydra_num_heads", `must be 1 for ${arch} heads`);
  if (recurrent && numLayers !== 1)
    throw fields.bad("hydra_num_layers", `must be 1 for ${arch} heads`);
  if (recurrent && !grounded) throw fields.bad("grounded_heads", `must be true for ${arch} heads`);
  return {
    kind: "hydra",
    arch,
    numHeads,
    numLayers,
    grounded,
    hiddenStateOffset: fields.optionalInteger("hidden_state_offset") ?? 0,
    baseModel: fields.optionalString("base_model_name_or_path"),
  };
}

function parseMedusa(fields: JsonFields): HeadsConfig {
  const version = fields.raw("version");
  return {
    kind: "medusa",
    numHeads:
      fields.optionalInteger("medusa_num_heads", 1) ?? fields.optionalInteger("num_heads", 1) ?? 5,
    numLayers:
      fields.optionalInteger("medusa_num_layers", 1, maxHeadLayers) ??
      fields.optionalInteger("num_hidden_layers", 1, maxHeadLayers) ??
      1,
    ownLmHeads: version !== "2" && version !== 2,
    baseModel: fields.optionalString("base_model_name_or_path"),
  };
}

import { type FloatDType, isDType, isFloat } from "../ir/dtype.ts";
import { HydrantError } from "../util/errors.ts";
import { shorten, type TensorFile, type TensorInfo } from "./tensor-file.ts";

/** A parameter of a model: the tensor it wants, by its name in checkpoints. */
export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A stored tensor in a type that weights are computed with. */
export interface WeightInfo extends TensorInfo {
  readonly dtype: FloatDType;
}

export interface BindOptions {
  /** Names that may be present without being used. */
  readonly ignore?: readonly RegExp[];
  /** Expected name → name to take instead when the first is absent. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** Names shown of each kind of problem; the rest is counted. */
const shownPerKind = 5;

/**
 * Matches what a model needs with what a checkpoint holds.
 *
 * @returns expected name → the stored tensor to read (whose `name` is the alias where one was used)
 * @throws HydrantError `checkpoint/mismatch`: one error that lists missing, unexpected and misshapen
 *   tensors and those not stored as f32, f16 or bf16
 */
export function bindTensors(
  expected: Iterable<ExpectedTensor>,
  available: TensorFile,
  { ignore = [], aliases = {} }: BindOptions = {},
): Map<string, WeightInfo> {
  const bound = new Map<string, WeightInfo>();
  const used = new Set<string>();
  const missing: string[] = [];
  const misshapen: string[] = [];
  const notFloat: string[] = [];
  for (const { name, shape } of expected) {
    const alias = Object.hasOwn(aliases, name) ? aliases[name] : undefined;
    const info = available.tensors.get(name) ?? available.tensors.get(alias ?? name);
    if (info === undefined) {
      missing.push(name);
      continue;
    }
    used.add(info.name);
    const { dtype } = info;
    if (!sameShape(info.shape, shape)) {
      misshapen.push(`${shorten(name)} is ${show(info.shape)} instead of ${show(shape)}`);
    } else if (!isDType(dtype) || !isFloat(dtype)) {
      notFloat.push(`${shorten(name)} is ${dtype}`);
    } else {
      bound.set(name, { ...info, dtype });
    }
  }
  const unexpected = [...available.tensors.keys()].filter(
    (name) => !used.has(name) && !ignore.some((pattern) => pattern.test(name)),
  );
  const problems = [
    summary("missing", missing.map(shorten)),
    summary("unexpected", unexpected.map(shorten)),
    summary("of another shape", misshapen),
    summary("not stored as f32, f16 or bf16", notFloat),
  ].filter((text) => text !== undefined);
  if (problems.length > 0) {
    throw new HydrantError(
      "checkpoint/mismatch",
      `The weights do not fit the model: ${problems.join("; ")}.`,
      {
        path: available.file,
        hint: "Check that config.json and the weights belong together.",
      },
    );
  }
  return bound;
}

function summary(kind: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const rest = names.length > shownPerKind ? `, and ${names.length - shownPerKind} more` : "";
  return `${names.length} ${kind} (${names.slice(0, shownPerKind).join(", ")}${rest})`;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

function show(shape: readonly number[]): string {
  return `[${shape.slice(0, 8).join(", ")}${shape.length > 8 ? ", ..." : ""}]`;
}

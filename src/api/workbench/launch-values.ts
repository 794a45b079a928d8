/*
 * What the buffers of a launch hold before it, when no model is there to say: random numbers of the
 * size they have in a model, and integers that are valid for every kernel (tokens, paths, lengths).
 */
import { isFloat } from "../../ir/dtype.ts";
import { samplingFields } from "../../ir/op.ts";
import type { Access } from "../../ir/program.ts";
import { packedIndex, packTile, weightLayout } from "../../ir/weight-layout.ts";
import { HydrantError } from "../../util/errors.ts";
import type { BufferSpec, KernelSpec, LaunchSpec } from "../inspect/kernel-spec.ts";
import { randomFloats, randomIntegers, randomWords } from "./random-values.ts";

export interface ValueOptions {
  /** Tokens in the caches. */
  readonly context: number;
  readonly temperature: number;
  readonly seed: number;
}

/** A buffer of a launch, with all arguments it is passed as. */
export interface LaunchBuffer {
  readonly buffer: BufferSpec;
  readonly access: Access;
  /** Of the arguments; `caches[3]` for a place in a table. */
  readonly names: readonly string[];
  /** The kernel's own memory: holds nothing before the launch, and nothing of use after it. */
  readonly isWorkspace: boolean;
}

/** Bytes before the launch, or what takes their place. */
export type Content =
  | Uint8Array
  /** All bits set, so that what is not written shows. */
  | "unwritten"
  /** Nothing at all: the emulator reports reads of it. */
  | "uninitialised";

/** By `BufferSpec.id`: every memory of the launch once. */
export function launchBuffers({ args }: LaunchSpec): ReadonlyMap<number, LaunchBuffer> {
  const found = new Map<number, LaunchBuffer>();
  const add = (buffer: BufferSpec, access: Access, name: string): void => {
    const known = found.get(buffer.id);
    const both = known === undefined || known.access === access ? access : "update";
    found.set(buffer.id, {
      buffer,
      access: both,
      names: [...(known?.names ?? []), name],
      isWorkspace: buffer.kind === "scratch" && both === "update",
    });
  };
  for (const arg of args) {
    if (arg.type === "buffer" || arg.type === "tensor-map") add(arg.buffer, arg.access, arg.name);
    if (arg.type !== "table") continue;
    for (const [i, buffer] of arg.buffers.entries()) add(buffer, arg.access, `${arg.name}[${i}]`);
  }
  return found;
}

/** Slots beyond the context that a launch may read or write: its rows, a tree's nodes. */
function slotsUsed({ dims }: KernelSpec, { args, grid, ...launch }: LaunchSpec): number {
  const rows = args.flatMap((arg) =>
    arg.type === "i32" && /^(rows|nodes|path_length)/.test(arg.name) ? [arg.value] : [],
  );
  return Math.max(64, dims.rows ?? 0, ...rows, launch.label.includes("embed") ? grid[0] : 0);
}

const usualContext = 1000;

/**
 * Tokens in the caches: as many as asked for, else 1000 or all there is room for.
 * @throws HydrantError `kernel/context` where the caches hold fewer.
 */
export function chooseContextLength(
  spec: KernelSpec,
  launch: LaunchSpec,
  wanted: number | undefined,
): number {
  const { capacity } = spec.dims;
  const room = capacity === undefined ? 0 : Math.max(0, capacity - slotsUsed(spec, launch));
  if (wanted === undefined) return Math.min(usualContext, room);
  if (capacity === undefined || wanted <= room) return wanted;
  throw new HydrantError(
    "kernel/context",
    `The caches have room for ${room} tokens and the rows of the launch.`,
    {
      path: `--context ${wanted}`,
      hint: "Ask for fewer, or write the folder anew with a larger `hydra inspect --context`.",
    },
  );
}

/** Content of every buffer of a launch. The same options give the same bytes. */
export function launchValues(
  spec: KernelSpec,
  launch: LaunchSpec,
  options: ValueOptions,
): ReadonlyMap<number, Content> {
  const values = new Map<number, Content>();
  const buffers = launchBuffers(launch);
  for (const [id, { buffer, access, isWorkspace }] of buffers) {
    if (isWorkspace) values.set(id, "uninitialised");
    else if (buffer.kind === "scratch" && access === "write") values.set(id, "unwritten");
    else values.set(id, contentOf(buffer, { spec, launch, buffers, options }));
  }
  return values;
}

interface Situation {
  readonly spec: KernelSpec;
  readonly launch: LaunchSpec;
  readonly buffers: ReadonlyMap<number, LaunchBuffer>;
  readonly options: ValueOptions;
}

function contentOf(buffer: BufferSpec, situation: Situation): Uint8Array {
  const { kind, bytes, data } = buffer;
  const out = new Uint8Array(bytes);
  if (kind === "counter") return out;
  const content = data === undefined ? undefined : Buffer.from(data, "base64");
  out.set(content ?? (isFloat(buffer.dtype) ? floats : integers)(buffer, situation));
  return out;
}

function floats(buffer: BufferSpec, { spec, launch, options }: Situation): Uint8Array {
  const { kind, name, label, dtype, elements, shape = [] } = buffer;
  if (!isFloat(dtype)) return new Uint8Array(0);
  const seed = options.seed * 1009 + buffer.id;
  const random = (count: number, of: (normal: number) => number) =>
    randomFloats(dtype, count, seed, of);
  if (kind === "input" && name === "sampling")
    return new Uint8Array(Float32Array.from(samplingSettings(options)).buffer);
  // The sums of parts of rows of normally distributed numbers are positive.
  if (label.includes("sums of squares")) return random(elements, (x) => 64 + 8 * Math.abs(x));
  if (kind === "parameter") return weight(buffer, random);
  if (kind === "state" && shape[0] !== undefined && shape[0] === spec.dims.capacity) {
    // Slots that nothing was stored in are zeros, as in a new session.
    const slots = Math.min(shape[0], options.context + slotsUsed(spec, launch));
    return random((elements / shape[0]) * slots, (x) => x);
  }
  return random(elements, (x) => x);
}

/** Outputs of a product are as large as its inputs; gains of norms are near 1. */
function weight(
  { dtype, shape = [], elements, bytes, name = "" }: BufferSpec,
  random: (count: number, of: (normal: number) => number) => Uint8Array,
): Uint8Array {
  const [outputs = 1, inputs = 1] = shape;
  if (shape.length < 2)
    return random(elements, name.includes("norm") ? (x) => 1 + x / 8 : (x) => x / 4);
  const scale = inputs ** -0.5;
  if (weightLayout(dtype, shape) === "row-major") return random(elements, (x) => x * scale);
  const packed = random(bytes / 2, (x) => x * scale);
  const words = new Uint16Array(packed.buffer);
  const pad = (extent: number): number => Math.ceil(extent / packTile) * packTile;
  for (let n = 0; n < pad(outputs); n++) {
    for (let k = n < outputs ? inputs : 0; k < pad(inputs); k++)
      words[packedIndex(n, k, inputs)] = 0;
  }
  return packed;
}

function samplingSettings({ temperature }: ValueOptions): number[] {
  const settings: Record<(typeof samplingFields)[number], number> = {
    temperature,
    topK: 0,
    topP: 0.95,
    minP: 0,
    repetitionPenalty: 1,
    posteriorThreshold: 0.09,
    posteriorAlpha: 0.3,
  };
  return samplingFields.map((field) => settings[field]);
}

/** Tokens are small numbers: all vocabularies have them, and draws meet their candidates. */
const tokenLimit = 8;

function integers(
  { id, name, label, dtype, elements }: BufferSpec,
  { spec, launch, buffers, options }: Situation,
): Uint8Array {
  const seed = options.seed * 1009 + id;
  if (dtype === "u64") {
    const next = randomWords(seed);
    return new Uint8Array(Uint32Array.from({ length: 2 * elements }, next).buffer);
  }
  const each = (value: (i: number) => number) =>
    new Uint8Array(Int32Array.from({ length: elements }, (_, i) => value(i)).buffer);
  if (name === "length") return each(() => options.context);
  if (name === "ring.number") return each(() => 0);
  if (name === "count") return each(() => spec.dims.rows ?? 1);
  // An accepted path ascends. One with a gap moves rows of caches; as row numbers, gaps may be too far.
  if (label.endsWith(": path"))
    return each((i) => (launch.args.some(({ type }) => type === "table") ? i + Math.min(i, 1) : i));
  if (label.endsWith(": count")) {
    const path = [...buffers.values()].find(({ buffer }) => buffer.label.endsWith(": path"));
    return each(() => path?.buffer.elements ?? 1);
  }
  return randomIntegers(elements, seed, tokenLimit);
}

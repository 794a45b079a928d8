import { HydrantError } from "../util/errors.ts";
import { PickleDict, type PickleHost, PickleTuple } from "./pickle.ts";
import { elementCount, type StoredDType, storedSize } from "./stored-dtype.ts";
import { shorten } from "./tensor-file.ts";

/** Raw data that one or more tensors view. */
export interface Storage {
  readonly key: string;
  readonly dtype: StoredDType;
  /** Length in elements. */
  readonly count: number;
}

/** A tensor as a checkpoint describes it; offset and strides in elements of the storage. */
export interface StoredTensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const storageTypes: Readonly<Record<string, StoredDType>> = {
  DoubleStorage: "f64",
  FloatStorage: "f32",
  HalfStorage: "f16",
  BFloat16Storage: "bf16",
  LongStorage: "i64",
  IntStorage: "i32",
  ShortStorage: "i16",
  CharStorage: "i8",
  ByteStorage: "u8",
  BoolStorage: "bool",
};

/** Names that stand for themselves and are only ever passed along. */
const inertNames: ReadonlySet<string> = new Set([
  "torch.float64",
  "torch.float32",
  "torch.float16",
  "torch.bfloat16",
  "torch.int64",
  "torch.int32",
  "torch.int16",
  "torch.int8",
  "torch.uint8",
  "torch.bool",
  "torch.storage.UntypedStorage",
]);

const maxRank = 64;

class StorageType {
  readonly dtype: StoredDType;

  constructor(dtype: StoredDType) {
    this.dtype = dtype;
  }
}

class Inert {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

type Callable = (args: readonly unknown[], key: string | undefined) => unknown;

class TensorValue implements StoredTensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(tensor: StoredTensor) {
    this.storage = tensor.storage;
    this.offset = tensor.offset;
    this.shape = tensor.shape;
    this.strides = tensor.strides;
  }
}

class StorageValue {
  readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }
}

/**
 * The names a torch state dict needs, and what each means here. Any other name is refused, so no
 * code that a file mentions is ever looked up, let alone run.
 */
export class TorchHost implements PickleHost {
  /** Every storage described so far, by key. */
  readonly storages = new Map<string, Storage>();
  readonly #file: string;
  readonly #callables: ReadonlyMap<string, Callable>;

  constructor(file: string) {
    this.#file = file;
    this.#callables = new Map<string, Callable>([
      ["collections.OrderedDict", (args) => this.#orderedDict(args)],
      ["torch._utils._rebuild_tensor_v2", (args, key) => this.#rebuildTensor(args, key)],
      ["torch._utils._rebuild_parameter", (args, key) => this.#rebuildParameter(args, key)],
      [
        "torch.Size",
        (args) => (args[0] instanceof PickleTuple ? args[0] : this.#malformed("torch.Size")),
      ],
      ["torch.device", () => new Inert("torch.device")],
    ]);
  }

  global(module: string, name: string): unknown {
    const full = `${module}.${name}`;
    const dtype =
      module === "torch" && Object.hasOwn(storageTypes, name) ? storageTypes[name] : undefined;
    if (dtype !== undefined) return new StorageType(dtype);
    const callable = this.#callables.get(full);
    if (callable !== undefined) return callable;
    if (inertNames.has(full)) return new Inert(full);
    throw new HydrantError(
      "pickle/refused-global",
      `The file asks for ${JSON.stringify(shorten(full))}, which a checkpoint of weights has no use for; it was not run.`,
      {
        path: this.#file,
        hint: "Do not load this file with other tools either, unless you trust its author.",
      },
    );
  }

  reduce(callable: unknown, args: readonly unknown[], key: string | undefined): unknown {
    for (const known of this.#callables.values()) {
      if (known === callable) return known(args, key);
    }
    return this.#malformed("a call");
  }

  /** ("storage", type, key, location, count[, view]); the location is ignored. */
  persistent(id: unknown): unknown {
    const [tag, type, key, , count, view] = id instanceof PickleTuple ? id.items : [];
    if (type instanceof Inert && type.name.endsWith("UntypedStorage")) {
      throw new HydrantError(
        "pickle/unsupported",
        "It holds an untyped storage, whose element type is not recorded.",
        {
          path: this.#file,
        },
      );
    }
    const valid =
      tag === "storage" && type instanceof StorageType && typeof key === "string" && isCount(count);
    if (!valid || (view !== undefined && view !== null)) return this.#malformed("a storage");
    const known = this.storages.get(key);
    if (known !== undefined && (known.dtype !== type.dtype || known.count !== count)) {
      return this.#malformed("a storage that two tensors share");
    }
    const storage = known ?? { key, dtype: type.dtype, count };
    this.storages.set(key, storage);
    return new StorageValue(storage);
  }

  #orderedDict(args: readonly unknown[]): PickleDict {
    return args.length === 0 ? new PickleDict() : this.#malformed("an OrderedDict");
  }

  #rebuildTensor(args: readonly unknown[], key: string | undefined): TensorValue {
    const [source, offset, size, stride] = args;
    const shape = counts(size);
    const strides = counts(stride);
    if (
      !(source instanceof StorageValue) ||
      !isCount(offset) ||
      shape === undefined ||
      strides === undefined
    ) {
      return this.#malformed("a tensor", key);
    }
    const tensor = { storage: source.storage, offset, shape, strides };
    if (shape.length !== strides.length || shape.length > 64 || !fits(tensor))
      return this.#malformed("a tensor", key);
    return new TensorValue(tensor);
  }

  #rebuildParameter(args: readonly unknown[], key: string | undefined): unknown {
    return args[0] instanceof TensorValue ? args[0] : this.#malformed("a parameter", key);
  }

  #malformed(what: string, key?: string): never {
    throw new HydrantError("pickle/malformed", `The description of ${what} is not valid.`, {
      path: key === undefined ? this.#file : `${this.#file}: ${shorten(key)}`,
    });
  }
}

/**
 * Finds the tensors of an unpickled checkpoint: a plain state dict, or one under "state_dict" or
 * "model". Entries that are no tensors (a step count, an optimiser's settings) are left out.
 *
 * @throws HydrantError `checkpoint/no-tensors`
 */
export function stateDictOf(value: unknown, file: string): Map<string, StoredTensor> {
  let dict: unknown = value;
  for (let depth = 0; depth < 4 && dict instanceof PickleDict; depth++) {
    const entries = dict.toMap();
    const tensors = new Map<string, StoredTensor>();
    for (const [name, entry] of entries) {
      if (typeof name === "string" && entry instanceof TensorValue) tensors.set(name, entry);
    }
    if (tensors.size > 0) return tensors;
    dict = entries.get("state_dict") ?? entries.get("model");
  }
  throw new HydrantError("checkpoint/no-tensors", "The file holds no state dict with tensors.", {
    path: file,
  });
}

/** A shape or its strides. A long tuple could be named again and again, so its length comes first. */
function counts(value: unknown): number[] | undefined {
  if (!(value instanceof PickleTuple) || value.items.length > maxRank) return undefined;
  return value.items.every(isCount) ? [...value.items] : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Every element the tensor can reach lies inside its storage. */
function fits({ storage, offset, shape, strides }: StoredTensor): boolean {
  const count = elementCount(shape);
  const bytes = storedSize(storage.dtype);
  if (count === undefined || !Number.isSafeInteger(count * bytes)) return false;
  if (!Number.isSafeInteger(storage.count * bytes)) return false;
  if (count === 0) return offset <= storage.count;
  let last = offset;
  for (const [axis, extent] of shape.entries()) last += (extent - 1) * (strides[axis] ?? 0);
  return last < storage.count;
}

import { HydrantError } from "./errors.ts";

/**
 * Reads typed fields out of a parsed JSON object and names the field when one is missing or of
 * the wrong kind. `null` counts as absent, as configuration files write both for the same thing.
 *
 * Every error has a code under `config/` and `file: field` as its path.
 */
export class JsonFields {
  readonly file: string;
  readonly #record: Readonly<Record<string, unknown>>;
  readonly #prefix: string;

  /** @throws HydrantError `config/bad-field` when `json` is no object. */
  constructor(json: unknown, file: string, prefix = "") {
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      const what = prefix === "" ? "The file" : `Field ${prefix.slice(0, -1)}`;
      throw new HydrantError(
        "config/bad-field",
        `${what} is ${describe(json)}, not a JSON object.`,
        {
          path: file,
        },
      );
    }
    this.file = file;
    this.#record = json as Record<string, unknown>;
    this.#prefix = prefix;
  }

  has(name: string): boolean {
    const value = this.raw(name);
    return value !== undefined && value !== null;
  }

  /** The value as parsed; `undefined` where the object itself has no such field. */
  raw(name: string): unknown {
    return Object.hasOwn(this.#record, name) ? this.#record[name] : undefined;
  }

  names(): string[] {
    return Object.keys(this.#record);
  }

  /** An integer from `min` to `max`, which is 2^31 - 1 unless given. */
  optionalInteger(name: string, min = 0, max = largest): number | undefined {
    if (!this.has(name)) return undefined;
    const value = this.raw(name);
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
      return value;
    }
    throw this.bad(name, `must be an integer from ${min} to ${max}`);
  }

  integer(name: string, min = 0, max = largest): number {
    return this.optionalInteger(name, min, max) ?? this.#missing(name);
  }

  /** A finite number above 0, or from 0 on where `zero` says so. */
  optionalNumber(
    name: string,
    zero: "above zero" | "from zero" = "above zero",
  ): number | undefined {
    if (!this.has(name)) return undefined;
    const value = this.raw(name);
    const inRange =
      typeof value === "number" && (value > 0 || (value === 0 && zero === "from zero"));
    if (inRange && Number.isFinite(value)) return value;
    throw this.bad(name, `must be a number ${zero}`);
  }

  number(name: string): number {
    return this.optionalNumber(name) ?? this.#missing(name);
  }

  optionalBoolean(name: string): boolean | undefined {
    if (!this.has(name)) return undefined;
    const value = this.raw(name);
    if (typeof value === "boolean") return value;
    throw this.bad(name, "must be true or false");
  }

  optionalString(name: string): string | undefined {
    if (!this.has(name)) return undefined;
    const value = this.raw(name);
    if (typeof value === "string") return value;
    throw this.bad(name, "must be a string");
  }

  optionalObject(name: string): JsonFields | undefined {
    if (!this.has(name)) return undefined;
    return new JsonFields(this.raw(name), this.file, `${this.#prefix}${name}.`);
  }

  bad(name: string, rule: string): HydrantError {
    const value = describe(this.raw(name));
    return new HydrantError(
      "config/bad-field",
      `Field ${this.#prefix}${name} ${rule}; it is ${value}.`,
      {
        path: `${this.file}: ${this.#prefix}${name}`,
      },
    );
  }

  unsupported(name: string, message: string, hint?: string): HydrantError {
    return new HydrantError("config/unsupported", message, {
      path: `${this.file}: ${this.#prefix}${name}`,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  #missing(name: string): never {
    throw new HydrantError(
      "config/missing-field",
      `Required field ${this.#prefix}${name} is missing.`,
      {
        path: `${this.file}: ${this.#prefix}${name}`,
      },
    );
  }
}

/** No size of a model comes near it, and products of two stay exact. */
const largest = 2 ** 31 - 1;

function describe(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/**
 * Reads a value out of parsed JSON into a type, or says which field is not of it. `at` is the place
 * in the file, as in `entries[3].figures`. Fields that a reader does not name are left out.
 */
export type Reader<T> = (value: unknown, at: string) => T;

/** A field that is missing or of another type. */
export class BadField extends Error {
  override readonly name = "BadField";
}

/** `null` is NaN: JSON has no other word for the median of no values. */
export const number: Reader<number> = (value, at) => {
  if (value === null) return Number.NaN;
  return typeof value === "number" ? value : bad(at, "a number", value);
};

export const string: Reader<string> = (value, at) =>
  typeof value === "string" ? value : bad(at, "a text", value);

export const boolean: Reader<boolean> = (value, at) =>
  typeof value === "boolean" ? value : bad(at, "true or false", value);

export const numberOrText: Reader<number | string> = (value, at) =>
  typeof value === "string" ? value : number(value, at);

export const numberOrNull: Reader<number | null> = (value, at) =>
  value === null ? null : number(value, at);

/** One of the texts. */
export function oneOf<const T extends string>(...texts: readonly T[]): Reader<T> {
  return (value, at) =>
    texts.find((text) => text === value) ??
    bad(at, `one of ${texts.map((text) => JSON.stringify(text)).join(", ")}`, value);
}

export function optional<T>(read: Reader<T>): Reader<T | undefined> {
  return (value, at) => (value === undefined ? undefined : read(value, at));
}

export function list<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value, at) =>
    Array.isArray(value)
      ? value.map((item: unknown, index) => read(item, `${at}[${index}]`))
      : bad(at, "a list", value);
}

export function record<T>(read: Reader<T>): Reader<Readonly<Record<string, T>>> {
  return (value, at) =>
    Object.fromEntries(
      fieldsOf(value, at).map(([name, item]) => [name, read(item, `${at}.${name}`)]),
    );
}

export function object<T extends object>(
  fields: {
    readonly [K in keyof T]-?: Reader<T[K]>;
  },
): Reader<T> {
  return (value, at) => {
    const found = new Map(fieldsOf(value, at));
    const read = Object.entries<Reader<unknown>>(fields).map(([name, reader]) => [
      name,
      reader(found.get(name), at === "" ? name : `${at}.${name}`),
    ]);
    // A field that is absent stays absent.
    return Object.fromEntries(read.filter(([, item]) => item !== undefined)) as T;
  };
}

/** Whether JSON has these fields at its top: enough to tell one kind of file from another. */
export function hasFields(json: unknown, ...names: readonly string[]): boolean {
  return (
    typeof json === "object" && json !== null && names.every((name) => Object.hasOwn(json, name))
  );
}

function fieldsOf(value: unknown, at: string): [string, unknown][] {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value)
    : bad(at, "an object", value);
}

function bad(at: string, expected: string, value: unknown): never {
  const found =
    value === undefined ? "missing" : (JSON.stringify(value)?.slice(0, 40) ?? String(value));
  throw new BadField(
    `${at === "" ? "The file" : `Field ${at}`} must be ${expected}; it is ${found}.`,
  );
}

import { HydrantError } from "../util/errors.ts";
import { JsonFields } from "../util/json-fields.ts";
import { readOptionalJson } from "./json-files.ts";

/** A token matched in the text itself, before the model's own splitting. Field meanings are Hugging Face's. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Skipped by `decode` with `skipSpecial`. */
  readonly special: boolean;
  /** Swallow white space on that side. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Match only between non-word characters. */
  readonly singleWord: boolean;
  /** Match in the normalized text. */
  readonly normalized: boolean;
}

/** What the small JSON files beside a tokenizer say. */
export interface SpecialTokens {
  readonly bos: string | undefined;
  readonly eos: string | undefined;
  /** Every token named in a special role: begin, end, unknown, padding, additional. */
  readonly special: ReadonlySet<string>;
  /** Tokens with an explicit id (`added_tokens_decoder`, `added_tokens.json`), by ascending id. */
  readonly added: readonly AddedToken[];
  /** `add_bos_token`; `undefined` when not said. */
  readonly addBos: boolean | undefined;
  /** SentencePiece: every stretch between special tokens gets the leading space, not only the first. */
  readonly legacy: boolean;
  /** None of the files is there. */
  readonly bare?: boolean;
}

/** Ids travel as 32-bit integers. */
const MAX_ID = 2 ** 31 - 1;

const ROLES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "pad_token",
  "sep_token",
  "cls_token",
] as const;

/**
 * Reads `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` of a model
 * folder; each may be absent. What the first says about a role wins over the second.
 * @throws HydrantError naming file and field.
 */
export async function readSpecialTokens(dir: string): Promise<SpecialTokens> {
  const config = await readOptionalJson(dir, "tokenizer_config.json");
  const map = await readOptionalJson(dir, "special_tokens_map.json");
  const ids = await readOptionalJson(dir, "added_tokens.json");

  const roles = new Map<string, string>();
  const special = new Set<string>();
  for (const fields of [config, map]) {
    if (fields === undefined) continue;
    for (const role of ROLES) {
      // A role the first file sets to null is a decision (Qwen has no BOS), not a gap to fill.
      if (roles.has(role) || (fields === map && config?.raw(role) === null)) continue;
      const content = tokenContent(fields, role);
      if (content !== undefined) roles.set(role, content);
    }
    for (const content of tokenList(fields, "additional_special_tokens")) special.add(content);
  }
  for (const content of roles.values()) special.add(content);

  const added = new Map<number, AddedToken>();
  const decoder = config?.optionalObject("added_tokens_decoder");
  for (const key of decoder?.names() ?? []) {
    const fields = decoder?.optionalObject(key);
    if (fields === undefined || decoder === undefined) continue;
    added.set(tokenId(decoder, key, Number(key)), addedToken(fields, Number(key)));
  }
  for (const content of ids?.names() ?? []) {
    const id = ids === undefined ? 0 : tokenId(ids, content, ids.raw(content));
    if (added.has(id)) continue;
    const isSpecial = special.has(content);
    added.set(id, plainAddedToken(id, content, isSpecial));
  }
  for (const token of added.values()) if (token.special) special.add(token.content);

  return {
    bos: roles.get("bos_token"),
    eos: roles.get("eos_token"),
    special,
    added: [...added.values()].sort((a, b) => a.id - b.id),
    addBos: config?.optionalBoolean("add_bos_token"),
    legacy: config?.optionalBoolean("legacy") ?? true,
    bare: config === undefined && map === undefined && ids === undefined,
  };
}

/** An added token with Hugging Face's defaults. */
export function plainAddedToken(id: number, content: string, special: boolean): AddedToken {
  const plain = { lstrip: false, rstrip: false, singleWord: false };
  return { id, content, special, ...plain, normalized: !special };
}

/** One entry of `added_tokens` or `added_tokens_decoder`. @throws HydrantError `config/bad-field`. */
export function addedToken(fields: JsonFields, id: number): AddedToken {
  const content = fields.optionalString("content");
  if (content === undefined || content === "")
    throw fields.bad("content", "must be a non-empty string");
  const special = fields.optionalBoolean("special") ?? false;
  return {
    id,
    content,
    special,
    lstrip: fields.optionalBoolean("lstrip") ?? false,
    rstrip: fields.optionalBoolean("rstrip") ?? false,
    singleWord: fields.optionalBoolean("single_word") ?? false,
    normalized: fields.optionalBoolean("normalized") ?? !special,
  };
}

export function tokenId(fields: JsonFields, name: string, id: unknown): number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= MAX_ID) return id;
  throw new HydrantError(
    "tokenizer/bad-id",
    `Added token ${JSON.stringify(name)} has no valid id.`,
    {
      path: fields.file,
    },
  );
}

/** A token is written as its text or as an object with a `content`. */
function tokenContent(fields: JsonFields, name: string): string | undefined {
  const value = fields.raw(name);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return fields.optionalObject(name)?.optionalString("content");
  }
  return fields.optionalString(name) || undefined;
}

function tokenList(fields: JsonFields, name: string): string[] {
  const value = fields.raw(name);
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw fields.bad(name, "must be a list of tokens");
  return value.map((item: unknown) => {
    if (typeof item === "string") return item;
    const content = new JsonFields(item, fields.file, `${name}.`).optionalString("content");
    if (content === undefined) throw fields.bad(name, "must be a list of tokens");
    return content;
  });
}

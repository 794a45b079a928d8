import { basename, join } from "node:path";
import { HydrantError } from "../util/errors.ts";
import { type ChatFamily, detectChatFamily, PLAIN_TEMPLATE } from "./chat-families.ts";
import { type JinjaProgram, parseJinja, renderJinja } from "./jinja.ts";
import { messageOf, readOptionalJson, readOptionalText } from "./json-files.ts";
import { type Message, validateMessages } from "./message.ts";
import { strftime } from "./strftime.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface RenderOptions {
  /** End with the beginning of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** Written forms of the tokens, "" when the model has none. Default "". */
  readonly bosToken?: string;
  readonly eosToken?: string;
  /** The clock of `strftime_now`. Default: now. */
  readonly now?: Date;
}

/** Tokens by which templates end a turn; each stops generation where the vocabulary has it. */
const TURN_ENDS = ["<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>"];

/** The message of a template that calls `raise_exception`. */
class TemplateRefusal extends Error {}

/** Messages to prompt text, in a model's own chat format. */
export class ChatTemplate {
  /** `file`, or the built-in family: `vicuna`, `llama-2`, `llama-3`, `mistral`, `chatml`, `plain`. */
  readonly name: string;
  /**
   * Whether the model has no known chat format, so that messages are joined by blank lines and the
   * model continues the last one: right for a base model, which knows no turns.
   */
  readonly plain: boolean;
  /** Tokens that end the assistant's turn besides the model's EOS. */
  readonly stopTokens: readonly string[];
  readonly #program: JinjaProgram;
  readonly #path: string;

  /** @throws HydrantError `chat-template/broken` when `source` is not Jinja. */
  constructor(source: string, name: string, path: string) {
    this.name = name;
    this.plain = name === "plain";
    this.stopTokens = TURN_ENDS.filter((token) => source.includes(token));
    this.#path = path;
    try {
      this.#program = parseJinja(source);
    } catch (cause) {
      throw this.#broken(cause);
    }
  }

  /**
   * The prompt text. A template from a model's files writes the BOS token itself if the format has
   * one; the built-in ones leave the leading BOS to the encoder.
   * @throws HydrantError `chat/bad-message`, `chat-template/refused` (the template's own
   * `raise_exception`), `chat-template/broken`.
   */
  render(messages: readonly Message[], options: RenderOptions = {}): string {
    const valid = validateMessages(messages);
    if (valid.length === 0) {
      throw new HydrantError("chat/no-messages", "There are no messages to make a prompt of.");
    }
    const now = options.now ?? new Date();
    try {
      return renderJinja(this.#program, {
        messages: valid,
        add_generation_prompt: options.addGenerationPrompt ?? true,
        bos_token: options.bosToken ?? "",
        eos_token: options.eosToken ?? "",
        tools: null,
        documents: null,
        raise_exception: (message: unknown) => {
          throw new TemplateRefusal(String(message));
        },
        strftime_now: (format: string) => strftime(now, format),
      });
    } catch (cause) {
      if (!(cause instanceof TemplateRefusal)) throw this.#broken(cause);
      throw new HydrantError(
        "chat-template/refused",
        `The chat template refuses: ${cause.message}`,
        {
          path: this.#path,
          cause,
        },
      );
    }
  }

  /**
   * Prompt ids, with BOS exactly once where the format has it: written by a file's template, or
   * put before a built-in one when the model's files ask for it.
   * @throws HydrantError as `render`.
   */
  encode(
    tokenizer: Tokenizer,
    messages: readonly Message[],
    options: Pick<RenderOptions, "addGenerationPrompt" | "now"> = {},
  ): number[] {
    const written = (id: number | undefined) =>
      id === undefined ? "" : (tokenizer.idToToken(id) ?? "");
    const text = this.render(messages, {
      ...options,
      bosToken: written(tokenizer.bosId),
      eosToken: written(tokenizer.eosId),
    });
    const bos = this.name !== "file" && tokenizer.addsBos;
    return tokenizer.encode(text, { bos, special: true });
  }

  #broken(cause: unknown): HydrantError {
    return new HydrantError(
      "chat-template/broken",
      `The chat template fails: ${messageOf(cause)}.`,
      {
        path: this.#path,
        cause,
      },
    );
  }
}

export interface ChatTemplateHints {
  /** Tells the format by the tokens of its vocabulary. */
  readonly tokenizer?: Pick<Tokenizer, "tokenToId">;
  /** Other names of the model, such as the repository it came from. */
  readonly names?: readonly string[];
}

/**
 * The chat template of a model folder: `chat_template.jinja`, else `chat_template` in
 * `tokenizer_config.json` (of a list the one named `default`, else its first), else a built-in
 * format told by vocabulary or name, else the plain one.
 * @throws HydrantError naming the file, when a template is there but broken.
 */
export async function loadChatTemplate(
  dir: string,
  hints: ChatTemplateHints = {},
): Promise<ChatTemplate> {
  const file = join(dir, "chat_template.jinja");
  const ownFile = await readOptionalText(file);
  if (ownFile !== undefined) return new ChatTemplate(ownFile, "file", file);

  const config = await readOptionalJson(dir, "tokenizer_config.json");
  const source = config === undefined ? undefined : configuredTemplate(config.raw("chat_template"));
  if (source === "invalid")
    throw config?.bad("chat_template", "must be a string or a list of templates");
  if (source !== undefined) {
    return new ChatTemplate(source.template, "file", join(dir, "tokenizer_config.json"));
  }

  const model = await readOptionalJson(dir, "config.json");
  const trained = model?.raw("_name_or_path");
  const names = [
    ...(hints.names ?? []),
    basename(dir),
    ...(typeof trained === "string" ? [trained] : []),
  ];
  const hasToken = (token: string) => hints.tokenizer?.tokenToId(token) !== undefined;
  return builtInChatTemplate(detectChatFamily(hasToken, names));
}

/** A built-in format; `undefined` means the plain one. */
export function builtInChatTemplate(family: ChatFamily | undefined): ChatTemplate {
  const name = family?.name ?? "plain";
  return new ChatTemplate(
    family?.template ?? PLAIN_TEMPLATE,
    name,
    `built-in chat template ${name}`,
  );
}

function configuredTemplate(value: unknown): { template: string } | "invalid" | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return { template: value };
  if (!Array.isArray(value)) return "invalid";
  const named = value.filter(
    (item): item is { name: string; template: string } =>
      typeof item?.name === "string" && typeof item?.template === "string",
  );
  return named.find((item) => item.name === "default") ?? named[0] ?? "invalid";
}

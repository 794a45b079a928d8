import { readFile, writeFile } from "node:fs/promises";
import { HydrantError } from "../util/errors.ts";
import type { JsonFields } from "../util/json-fields.ts";
import { Conversation } from "./conversation.ts";
import { messageOf, parseJsonObject } from "./json-files.ts";
import { type Message, validateMessages } from "./message.ts";

const FORMAT = "hydrant-conversation";
const VERSION = 1;

/**
 * A conversation as JSON text:
 * `{"format": "hydrant-conversation", "version": 1, "messages": [{"role", "content"}, ...]}`, with
 * roles `system` (first only), `user`, `assistant`.
 */
export function formatConversation(conversation: Conversation): string {
  const file = { format: FORMAT, version: VERSION, messages: conversation.messages };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/**
 * Reads that format, and the one that FastChat's and Hydra's command lines save: `system_message`,
 * `roles` (user's, assistant's) and `messages` as `[role, text]` pairs, of which the first `offset`
 * are examples.
 * @throws HydrantError `conversation/...`, `chat/bad-message`, `file/bad-json`, naming `path`.
 */
export function parseConversation(text: string, path: string): Conversation {
  const file = parseJsonObject(text, path);
  if (file.raw("format") === FORMAT) {
    if (file.raw("version") !== VERSION) {
      throw new HydrantError(
        "conversation/version",
        `The conversation has format version ${file.raw("version")}; this program reads version ${VERSION}.`,
        { path },
      );
    }
    return checked(validateMessages(file.raw("messages"), path), path);
  }
  if (file.has("template_name") && file.has("roles")) return checked(fromFastChat(file), path);
  throw new HydrantError("conversation/format", "The file is not a saved conversation.", {
    path,
    hint: `It has no "format": "${FORMAT}".`,
  });
}

/** Writes a conversation to a file, as JSON. @throws HydrantError `conversation/unwritable`. */
export async function saveConversation(conversation: Conversation, path: string): Promise<void> {
  try {
    await writeFile(path, formatConversation(conversation));
  } catch (cause) {
    throw new HydrantError("conversation/unwritable", `Saving failed: ${messageOf(cause)}.`, {
      path,
      cause,
    });
  }
}

/**
 * Reads a conversation back, or one that FastChat or Hydra saved.
 * @throws HydrantError `conversation/unreadable`, `conversation/…` for what is no conversation.
 */
export async function loadConversation(path: string): Promise<Conversation> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new HydrantError("conversation/unreadable", `Loading failed: ${messageOf(cause)}.`, {
      path,
      cause,
    });
  }
  return parseConversation(text, path);
}

function checked(messages: readonly Message[], path: string): Conversation {
  const conversation = Conversation.of(messages);
  const turns = messages.slice(conversation.system === undefined ? 0 : 1);
  for (const [i, { role }] of turns.entries()) {
    const expected = i % 2 === 0 ? "user" : "assistant";
    if (role === expected) continue;
    throw new HydrantError(
      "conversation/order",
      `Turn ${i} is the ${role}'s; user and assistant must alternate, beginning with the user.`,
      { path },
    );
  }
  return conversation;
}

function fromFastChat(file: JsonFields): Message[] {
  const roles = file.raw("roles");
  const pairs = file.raw("messages");
  if (!Array.isArray(roles)) throw file.bad("roles", "must be a list");
  if (!Array.isArray(pairs)) throw file.bad("messages", "must be a list");
  const messages: { role: unknown; content: unknown }[] = [];
  const system = file.optionalString("system_message");
  if (system) messages.push({ role: "system", content: system });
  for (const pair of pairs.slice(file.optionalInteger("offset") ?? 0)) {
    const [name, content]: unknown[] = Array.isArray(pair) ? pair : [];
    if (content === null) continue; // A turn that was announced but never spoken.
    const place = roles.indexOf(name);
    messages.push({ role: place === 0 ? "user" : place === 1 ? "assistant" : name, content });
  }
  return validateMessages(messages, file.file);
}

import { HydrantError } from "../util/errors.ts";

/** Who may speak in a conversation. */
export const ROLES = ["system", "user", "assistant"] as const;
/** Who speaks in a conversation. */
export type Role = (typeof ROLES)[number];

/** One turn of a conversation. */
export interface Message {
  /** Who speaks. */
  readonly role: Role;
  /** What is said. */
  readonly content: string;
}

/**
 * Checks messages that came from outside (a file, a request).
 * @throws HydrantError `chat/bad-message` naming the message by its index.
 */
export function validateMessages(messages: unknown, path?: string): Message[] {
  if (!Array.isArray(messages)) throw bad("The messages are not a list.", path);
  return messages.map((message: unknown, i) => {
    const fields = typeof message === "object" && message !== null ? message : {};
    const role: unknown = Reflect.get(fields, "role");
    const content: unknown = Reflect.get(fields, "content");
    const known = ROLES.find((name) => name === role);
    if (known === undefined) {
      const given = typeof role === "string" ? JSON.stringify(role) : "missing";
      throw bad(
        `The role of message ${i} is ${given}; it must be system, user or assistant.`,
        path,
      );
    }
    if (typeof content !== "string")
      throw bad(`The content of message ${i} is not a string.`, path);
    return { role: known, content };
  });
}

function bad(message: string, path: string | undefined): HydrantError {
  return new HydrantError("chat/bad-message", message, path === undefined ? {} : { path });
}

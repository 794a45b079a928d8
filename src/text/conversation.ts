import type { Message } from "./message.ts";

/**
 * The messages of a chat: an optional system message first, then user and assistant in turn.
 * Nothing here touches a terminal or a file.
 */
export class Conversation {
  readonly #system: string | undefined;
  #turns: Message[] = [];

  /** `system` survives a reset. */
  constructor(system?: string) {
    this.#system = system;
  }

  /** A conversation of existing messages; a leading system message becomes its system text. */
  static of(messages: readonly Message[]): Conversation {
    const [first, ...rest] = messages;
    const hasSystem = first?.role === "system";
    const conversation = new Conversation(hasSystem ? first.content : undefined);
    conversation.#turns = hasSystem ? rest : [...messages];
    return conversation;
  }

  /** The system message, if there is one. */
  get system(): string | undefined {
    return this.#system;
  }

  /** All messages, as a chat template takes them. */
  get messages(): Message[] {
    const system = this.#system;
    return system === undefined
      ? [...this.#turns]
      : [{ role: "system", content: system }, ...this.#turns];
  }

  /** Whether the last message is the user's, without an answer yet. */
  get awaitsAnswer(): boolean {
    return this.#turns.at(-1)?.role === "user";
  }

  /** Adds the user's message; one that never got an answer is replaced, so that turns alternate. */
  addUser(content: string): void {
    if (this.awaitsAnswer) this.#turns.pop();
    this.#turns.push({ role: "user", content });
  }

  /** Adds the answer, without the white space around it that generation tends to leave. */
  addAssistant(content: string): void {
    this.#turns.push({ role: "assistant", content: content.trim() });
  }

  /** Forgets everything but the system message. */
  reset(): void {
    this.#turns = [];
  }

  /** Removes the last question with its answer, if it has one. False when there was nothing to remove. */
  removeLastExchange(): boolean {
    const before = this.#turns.length;
    if (this.#turns.at(-1)?.role === "assistant") this.#turns.pop();
    if (this.awaitsAnswer) this.#turns.pop();
    return this.#turns.length < before;
  }

  /**
   * Removes the last answer so that the same question can be answered anew. False when there is no
   * question to answer.
   */
  prepareRegeneration(): boolean {
    const turns = this.#turns;
    const question = turns.at(-1)?.role === "assistant" ? turns.at(-2) : turns.at(-1);
    if (question?.role !== "user") return false;
    if (turns.at(-1) !== question) turns.pop();
    return true;
  }
}

import type { GenerateOptions, Model, PromptInput } from "../../src/index.ts";
import type { Message } from "../../src/text/message.ts";
import type { Question } from "./questions.ts";

/** One answer to be given: a prompt and what plain decoding says to it. */
export interface Turn {
  readonly category: string;
  /** Question and turn, for messages: `81/2`. */
  readonly name: string;
  readonly input: PromptInput;
  /** The same as tokens. */
  readonly prompt: readonly number[];
  readonly answer: readonly number[];
}

/** What to do with a prompt that leaves no room for the answer. */
export const longPromptRules = ["truncate", "skip"] as const;
export type LongPromptRule = (typeof longPromptRules)[number];

export interface ConversationOptions {
  /** Whether turns go through the model's chat template; a base model continues plain text. */
  readonly chat: boolean;
  readonly longPrompts: LongPromptRule;
  /** How answers are made, `maxNewTokens` included. */
  readonly request: GenerateOptions & { readonly maxNewTokens: number };
}

export interface Conversations {
  readonly turns: readonly Turn[];
  /** Turns whose prompt was cut from the left, or that were left out with what follows them. */
  readonly long: number;
}

/**
 * Holds the questions' conversations by plain decoding: every later turn's prompt has the answers
 * before it. All methods are then measured on these very prompts.
 * @param progress hears of every question begun.
 */
export async function holdConversations(
  model: Model,
  questions: readonly Question[],
  options: ConversationOptions,
  progress: (done: number) => void,
): Promise<Conversations> {
  const turns: Turn[] = [];
  let long = 0;
  for (const [done, question] of questions.entries()) {
    progress(done);
    const messages: Message[] = [];
    for (const [index, content] of question.turns.entries()) {
      messages.push({ role: "user", content });
      const whole = options.chat ? { messages: [...messages] } : { prompt: plainText(messages) };
      const fitted = fitToContext(model, whole, options.request.maxNewTokens);
      if (fitted.input !== whole) long++;
      if (fitted.input !== whole && options.longPrompts === "skip") {
        // Later turns would build on an answer that is not there.
        long += question.turns.length - index - 1;
        break;
      }
      const { tokens, text } = await model.generate({
        ...options.request,
        ...fitted.input,
        method: "autoregressive",
      });
      messages.push({ role: "assistant", content: options.chat ? text.trim() : text });
      const name = `${question.id}/${index + 1}`;
      turns.push({ category: question.category, name, ...fitted, answer: tokens });
    }
  }
  return { turns, long };
}

/** What a base model continues: answers belong to the text before them, questions begin a paragraph. */
export function plainText(messages: readonly Message[]): string {
  return messages
    .map(({ role, content }, index) => (role === "user" && index > 0 ? `\n\n${content}` : content))
    .join("");
}

/** The end of a prompt that is too long, behind its first token where that begins every text. */
function fitToContext(
  model: Model,
  input: PromptInput,
  newTokens: number,
): { readonly input: PromptInput; readonly prompt: readonly number[] } {
  const tokens = model.promptTokens(input);
  const room = Math.max(2, model.contextLength - newTokens);
  if (tokens.length <= room) return { input, prompt: tokens };
  const { bosId } = model.tokenizer;
  const head = bosId !== undefined && tokens[0] === bosId ? [bosId] : [];
  const prompt = [...head, ...tokens.slice(tokens.length - (room - head.length))];
  return { input: { tokens: prompt }, prompt };
}

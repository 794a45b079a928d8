import { HydrantError } from "../../src/util/errors.ts";

/** One line of a prompt file: a conversation's user turns. */
export interface Question {
  readonly id: string;
  readonly category: string;
  /** At least one, none of them empty. */
  readonly turns: readonly string[];
}

/**
 * Reads prompts in the format of MT-Bench and Spec-Bench: a JSON object per line with `question_id`
 * (a number or a text), `category` and `turns`. Other fields and empty lines are passed over.
 * @param file what errors point at, with the line counted from 1.
 * @throws HydrantError `prompts/question`, `prompts/empty`
 */
export function parseQuestions(text: string, file: string): Question[] {
  const questions = text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .flatMap((line, index) =>
      line.trim() === "" ? [] : [parseQuestion(line, `${file}:${index + 1}`)],
    );
  if (questions.length === 0)
    throw new HydrantError("prompts/empty", "The file has no questions.", { path: file });
  return questions;
}

function parseQuestion(line: string, path: string): Question {
  const fail = (message: string): never => {
    throw new HydrantError("prompts/question", message, {
      path,
      hint: 'A line is an object such as {"question_id": 1, "category": "story", "turns": ["Once"]}.',
    });
  };
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return fail(`Not JSON: ${error instanceof Error ? error.message : String(error)}.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return fail("The line is no JSON object.");
  const field = (name: string): unknown => Reflect.get(value, name);
  const id = field("question_id");
  if (typeof id !== "string" && typeof id !== "number")
    return fail("question_id is neither a number nor a text.");
  const category = field("category");
  if (typeof category !== "string" || category.trim() === "")
    return fail("category is not a text.");
  const turns = field("turns");
  if (!Array.isArray(turns) || turns.length === 0) return fail("turns is not a list of texts.");
  return {
    id: String(id),
    category,
    turns: turns.map((turn: unknown, index) =>
      typeof turn === "string" && turn.trim() !== "" ? turn : fail(`Turn ${index} is not a text.`),
    ),
  };
}

export interface Selection {
  /** Most questions of a category. */
  readonly perCategory?: number | undefined;
  /** Most questions of all. */
  readonly limit?: number | undefined;
}

/** The first questions of each category, in the file's order. */
export function selectQuestions(
  questions: readonly Question[],
  { perCategory = Number.POSITIVE_INFINITY, limit = Number.POSITIVE_INFINITY }: Selection,
): Question[] {
  const taken = new Map<string, number>();
  const chosen = questions.filter(({ category }) => {
    const before = taken.get(category) ?? 0;
    taken.set(category, before + 1);
    return before < perCategory;
  });
  return chosen.slice(0, limit);
}

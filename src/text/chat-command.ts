/** What a line typed into a chat asks for; the words are those of Hydra's and FastChat's command lines. */
export type ChatCommand =
  | { readonly kind: "exit" | "reset" | "remove" | "regen" | "help" }
  | { readonly kind: "save" | "load"; readonly file: string }
  | { readonly kind: "mistake"; readonly message: string };

/** One line per command, for the screen. */
export const CHAT_COMMANDS: readonly (readonly [usage: string, meaning: string])[] = [
  ["!!exit", "leave the chat (so does an empty line)"],
  ["!!reset", "start a new conversation"],
  ["!!remove", "remove the last question and its answer"],
  ["!!regen", "answer the last question anew"],
  ["!!save <filename>", "save the conversation as JSON"],
  ["!!load <filename>", "load a saved conversation"],
  ["!!help", "list these commands"],
];

/**
 * The command on a line; `undefined` when the line is something to say. A file name without an
 * extension gets `.json`.
 */
export function parseCommand(line: string): ChatCommand | undefined {
  const trimmed = line.trim();
  if (trimmed === "") return { kind: "exit" };
  if (!trimmed.startsWith("!!")) return undefined;
  const [word = "", ...rest] = trimmed.split(/\s+/);
  const argument = rest.length === 0 ? "" : trimmed.slice(word.length).trim();
  const kind = word.slice(2);
  switch (kind) {
    case "exit":
    case "reset":
    case "remove":
    case "regen":
    case "help":
      if (argument === "") return { kind };
      return { kind: "mistake", message: `${word} takes no argument.` };
    case "save":
    case "load":
      if (argument === "") return { kind: "mistake", message: `usage: ${word} <filename>` };
      return {
        kind,
        file: /[^/\\.][^/\\]*\.[^/\\.]*$/.test(argument) ? argument : `${argument}.json`,
      };
    default: {
      const known = CHAT_COMMANDS.map(([usage]) => usage.split(" ")[0]).join(" ");
      return {
        kind: "mistake",
        message: `There is no command ${word}. The commands are ${known}.`,
      };
    }
  }
}

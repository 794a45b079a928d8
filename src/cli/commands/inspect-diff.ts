import { Command, CommanderError } from "commander";
import { diffPrograms, HydrantError, type InspectOptions } from "../../index.ts";
import { diffText } from "../inspection-diff.ts";
import { isFolder } from "../is-folder.ts";

/** Exit codes as `diff` has them: 0 the same, 1 different, 2 trouble. */
const exitDifferent = 1;
const exitTrouble = 2;

/**
 * Prints how the program of `options` differs from another.
 * @param other a folder of `--out`, or flags in one text, for what is different: `--arch sm_80`.
 * @param addOptions gives a command the flags of such a text.
 */
export async function printInspectionDiff(
  other: string,
  options: InspectOptions,
  addOptions: (command: Command) => Command,
): Promise<void> {
  try {
    const isSaved = !other.trimStart().startsWith("-") || (await isFolder(other));
    const diff = await diffPrograms(
      options,
      isSaved
        ? { folder: other }
        : { options: { ...options, ...otherSettings(other, addOptions) } },
    );
    process.stdout.write(options.json ? `${JSON.stringify(diff)}\n` : diffText(diff));
    if (!diff.identical) process.exitCode = exitDifferent;
  } catch (error) {
    if (!(error instanceof HydrantError)) throw error;
    console.error(`hydra: ${error.oneLine}`);
    throw new CommanderError(exitTrouble, error.code, error.message);
  }
}

/** Another model has other heads; everything else that is not said stays. */
function otherSettings(
  text: string,
  addOptions: (command: Command) => Command,
): Partial<InspectOptions> {
  const command = addOptions(new Command("hydra inspect --diff")).exitOverride();
  command.parse(wordsOf(text), { from: "user" });
  const all: Record<string, unknown> = command.opts();
  const given = Object.fromEntries(
    Object.entries(all).filter(([name]) => command.getOptionValueSource(name) === "cli"),
  );
  const { context, ...rest } = given;
  const isOtherModel = "model" in given || "shape" in given;
  return {
    ...(isOtherModel ? { model: undefined, shape: undefined, heads: undefined } : {}),
    ...rest,
    ...(typeof context === "number" ? { contextLength: context } : {}),
  };
}

/** Words between blanks; quotes hold a word with blanks together. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? "",
  );
}

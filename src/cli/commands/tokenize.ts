import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { HydrantError, openTokenizer } from "../../index.ts";
import { tokenIds } from "../model-options.ts";

interface TokenizeFlags {
  readonly model: string;
  readonly text?: string;
  readonly file?: string;
  readonly decode?: number[];
  readonly bos?: boolean;
  readonly json?: boolean;
}

export function registerTokenize(program: Command): void {
  const command = program
    .command("tokenize")
    .description("text to token ids, or back")
    .requiredOption("--model <dir|id>", "model folder, or hub id")
    .option("--text <text>", "the text")
    .option("--file <file>", "… from a file")
    .option("--decode <ids>", "token ids to turn into text: 1,2,3", tokenIds)
    .option("--bos", "begin with the beginning-of-text token")
    .option("--json", 'print {"ids":[…],"text":"…"}')
    .action(async (flags: TokenizeFlags) => {
      const given = [flags.text, flags.file, flags.decode].filter((value) => value !== undefined);
      if (given.length !== 1) command.error("error: give exactly one of --text, --file, --decode");
      await tokenize(flags);
    });
}

async function tokenize(flags: TokenizeFlags): Promise<void> {
  const tokenizer = await openTokenizer(flags.model);
  const ids =
    flags.decode ??
    tokenizer.encode(flags.text ?? (await read(flags.file ?? "")), { bos: flags.bos ?? false });
  const text = tokenizer.decode(ids);
  if (flags.json) process.stdout.write(`${JSON.stringify({ ids, text })}\n`);
  else process.stdout.write(flags.decode ? `${text}\n` : `${ids.join(",")}\n`);
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new HydrantError("cli/text-file", "The text file cannot be read.", {
      path: file,
      cause: error,
    });
  }
}

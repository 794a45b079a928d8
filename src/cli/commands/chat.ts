import { createInterface, type Interface } from "node:readline";
import chalk from "chalk";
import type { Command } from "commander";
import {
  CHAT_COMMANDS,
  Conversation,
  type GenerateOptions,
  HydrantError,
  InputAssembler,
  loadConversation,
  type Model,
  parseCommand,
  saveConversation,
} from "../../index.ts";
import {
  addModelOptions,
  addSamplingOptions,
  generateOptions,
  loadFromFlags,
  type ModelFlags,
  type SamplingFlags,
} from "../model-options.ts";

interface ChatFlags extends ModelFlags, SamplingFlags {
  readonly system?: string;
}

export function registerChat(program: Command): void {
  addSamplingOptions(addModelOptions(program.command("chat").description("talk with a model")))
    .option("--system <text>", "system message")
    .action(async (flags: ChatFlags) => {
      const options = await generateOptions(flags);
      const model = await loadFromFlags(flags);
      try {
        await new Chat(model, options, flags.system).run();
      } finally {
        await model.dispose();
      }
    });
}

/** The loop: read a message or a command, answer, repeat. Ctrl-C stops the answer, not the chat. */
class Chat {
  readonly #model: Model;
  readonly #options: GenerateOptions;
  readonly #input = new InputAssembler();
  readonly #terminal: Interface;
  #conversation: Conversation;
  #answering: AbortController | undefined;

  constructor(model: Model, options: GenerateOptions, system: string | undefined) {
    this.#model = model;
    this.#options = options;
    this.#conversation = new Conversation(system);
    this.#terminal = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: process.stdin.isTTY === true && process.stdout.isTTY === true,
    });
  }

  async run(): Promise<void> {
    console.error(
      chalk.dim(
        `${this.#model.method} on ${this.#model.device}. !!help lists the commands; an empty line leaves.`,
      ),
    );
    const interrupt = () => this.#interrupt();
    // In a terminal Ctrl-C is a key the line editor sees; from a pipe it is a signal.
    this.#terminal.on("SIGINT", interrupt);
    process.on("SIGINT", interrupt);
    try {
      this.#prompt();
      for await (const line of this.#terminal) {
        if (!(await this.#take(line))) return;
        this.#prompt();
      }
    } finally {
      process.off("SIGINT", interrupt);
      this.#terminal.close();
    }
  }

  /** @returns false to leave. */
  async #take(line: string): Promise<boolean> {
    const command = this.#input.pending ? undefined : parseCommand(line);
    try {
      if (command !== undefined) return await this.#obey(command);
      const message = this.#input.push(line);
      if (message.kind === "incomplete") return true;
      this.#conversation.addUser(message.text);
      await this.#answer();
    } catch (error) {
      if (!(error instanceof HydrantError)) throw error;
      console.error(chalk.red(error.oneLine));
    }
    return true;
  }

  async #obey(command: NonNullable<ReturnType<typeof parseCommand>>): Promise<boolean> {
    switch (command.kind) {
      case "exit":
        return false;
      case "reset":
        this.#conversation.reset();
        this.#say("New conversation.");
        return true;
      case "remove":
        this.#say(
          this.#conversation.removeLastExchange()
            ? "Removed the last exchange."
            : "There is nothing to remove.",
        );
        return true;
      case "regen":
        if (this.#conversation.prepareRegeneration()) await this.#answer();
        else this.#say("There is no question to answer.");
        return true;
      case "save":
        await saveConversation(this.#conversation, command.file);
        this.#say(`Saved to ${command.file}.`);
        return true;
      case "load":
        this.#conversation = await loadConversation(command.file);
        this.#replay();
        return true;
      case "help":
        for (const [usage, meaning] of CHAT_COMMANDS) this.#say(`${usage.padEnd(20)} ${meaning}`);
        this.#say(`${"line \\".padEnd(20)} goes on in the next line; """ begins and ends several`);
        return true;
      case "mistake":
        this.#say(command.message);
        return true;
      default:
        return command satisfies never;
    }
  }

  async #answer(): Promise<void> {
    const answering = new AbortController();
    this.#answering = answering;
    let text = "";
    try {
      const request = {
        ...this.#options,
        messages: this.#conversation.messages,
        signal: answering.signal,
      };
      for await (const chunk of this.#model.stream(request)) {
        text += chunk.text;
        process.stdout.write(chunk.text);
        const { stats } = chunk;
        if (stats === undefined) continue;
        const speed = `${stats.tokensPerStep.toFixed(2)} tokens per step, ${stats.tokensPerSecond.toFixed(1)} tokens/s`;
        process.stdout.write(
          `\n${chalk.dim(`[${stats.newTokens} tokens, ${speed}, ${chunk.finishReason}]`)}\n`,
        );
      }
    } catch (error) {
      if (!answering.signal.aborted) throw error;
      process.stdout.write(`\n${chalk.dim("[stopped]")}\n`);
    } finally {
      this.#answering = undefined;
      if (text.length > 0) this.#conversation.addAssistant(text);
    }
  }

  #interrupt(): void {
    if (this.#answering !== undefined) {
      this.#answering.abort();
      return;
    }
    this.#input.reset();
    // The line editor keeps what was typed: to its end, then delete back to its start.
    for (const name of ["e", "u"]) this.#terminal.write(null, { ctrl: true, name });
    this.#say("\n(!!exit or an empty line leaves.)");
    this.#prompt();
  }

  #replay(): void {
    for (const { role, content } of this.#conversation.messages) this.#say(`${role}: ${content}`);
  }

  #prompt(): void {
    this.#terminal.setPrompt(this.#input.pending ? "... " : "> ");
    this.#terminal.prompt();
  }

  #say(text: string): void {
    console.error(chalk.dim(text));
  }
}

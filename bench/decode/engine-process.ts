import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answer, Ask, EngineInfo, GenerateWork, Memory, Run, StepsWork } from "./protocol.ts";

/** Parent's side of `serve`: one engine in a process of its own. */
export class EngineProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param worker the TypeScript file that calls `serve`. */
  static async start(
    worker: URL,
    configuration: unknown,
  ): Promise<{ process: EngineProcess; about: EngineInfo; loadMs: number }> {
    const child = fork(fileURLToPath(worker), {
      execArgv: ["--import", import.meta.resolve("tsx")],
      // stdout belongs to the report.
      stdio: ["ignore", 2, 2, "ipc"],
    });
    const process = new EngineProcess(child);
    try {
      const { about, loadMs } = await process.#ask({ ask: "load", configuration }, "loaded");
      return { process, about, loadMs };
    } catch (error) {
      process.kill();
      throw error;
    }
  }

  async generate(work: GenerateWork): Promise<readonly Run[]> {
    return (await this.#ask({ ask: "generate", work }, "generated")).runs;
  }

  /** Milliseconds of every timed step, for every tree. */
  async timeSteps(work: StepsWork): Promise<readonly (readonly number[])[]> {
    return (await this.#ask({ ask: "steps", work }, "timed")).stepMs;
  }

  /** Ends the process and tells its peak memory. */
  async finish(): Promise<Memory> {
    return (await this.#ask({ ask: "finish" }, "finished")).memory;
  }

  kill(): void {
    this.#child.kill();
  }

  #ask<Name extends Answer["answer"]>(
    ask: Ask,
    expected: Name,
  ): Promise<Extract<Answer, { answer: Name }>> {
    return new Promise((resolve, reject) => {
      const settle = (error: Error | undefined, answer?: Answer) => {
        this.#child.off("message", onMessage).off("exit", onExit).off("error", onError);
        if (error !== undefined) reject(error);
        else if (isAnswer(answer, expected)) resolve(answer);
        else if (answer?.answer === "failed") reject(new Error(answer.message));
        else reject(new Error(`expected "${expected}", got "${answer?.answer}"`));
      };
      const onMessage = (message: unknown) => settle(undefined, message as Answer);
      const onError = (error: Error) => settle(error);
      const onExit = (code: number | null) =>
        settle(new Error(`an engine's process ended (${code})`));
      this.#child.on("message", onMessage).on("exit", onExit).on("error", onError);
      this.#child.send(ask);
    });
  }
}

function isAnswer<Name extends Answer["answer"]>(
  answer: Answer | undefined,
  name: Name,
): answer is Extract<Answer, { answer: Name }> {
  return answer?.answer === name;
}

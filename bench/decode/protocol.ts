import { existsSync, readFileSync } from "node:fs";

/*
 * Every configuration runs in a process of its own, so that neither memory nor a warm cache nor a
 * thread pool of one counts for another. The processes stay alive between rounds and take turns:
 * the parent asks one of them at a time.
 */

/** What the parent asks; `load` comes first and once. */
export type Ask =
  | { readonly ask: "load"; readonly configuration: unknown }
  | { readonly ask: "generate"; readonly work: GenerateWork }
  | { readonly ask: "steps"; readonly work: StepsWork }
  | { readonly ask: "finish" };

export type Answer =
  | { readonly answer: "loaded"; readonly about: EngineInfo; readonly loadMs: number }
  | { readonly answer: "generated"; readonly runs: readonly Run[] }
  | { readonly answer: "timed"; readonly stepMs: readonly (readonly number[])[] }
  | { readonly answer: "finished"; readonly memory: Memory }
  | { readonly answer: "failed"; readonly message: string };

export interface GenerateWork {
  /** Token ids of each prompt, with BOS where the model wants one. */
  readonly prompts: readonly (readonly number[])[];
  readonly newTokens: number;
  /** After this time no further prompt is begun, and an engine that can ends the one it is at. */
  readonly mostMs: number;
  /** The prompts are repeated until this time has passed: fast engines need it for a steady figure. */
  readonly leastMs: number;
}

export interface StepsWork {
  readonly prompt: readonly number[];
  /** Draft trees as lists of paths; the empty list is plain decoding. */
  readonly trees: readonly (readonly (readonly number[])[])[];
  /** Timed steps of each tree. */
  readonly steps: number;
}

/** One prompt continued greedily, without stopping at end tokens. */
export interface Run {
  /** Index in the work's prompts. */
  readonly prompt: number;
  readonly tokens: readonly number[];
  /** Ended by the work's time, before all tokens were there. */
  readonly cut?: boolean;
  /** From the call to the first new token being decided. */
  readonly promptMs: number;
  /** Rate of the tokens after that. */
  readonly tokensPerSecond: number;
  /** Forward passes of the base model behind `tokensPerSecond`, and milliseconds of each. */
  readonly steps: number;
  readonly stepMs: number;
  /** Tokens committed per forward pass. */
  readonly tokensPerStep: number;
}

export interface EngineInfo {
  readonly engine: string;
  readonly details: string;
}

/** Resident memory of the process in MB (10^6 bytes). */
export interface Memory {
  /** Before anything of the engine was loaded: Node itself and the TypeScript loader. */
  readonly beforeLoad: number;
  readonly peak: number;
}

export interface Engine {
  readonly about: EngineInfo;
  generate(work: GenerateWork): Promise<Run[]>;
  timeSteps?(work: StepsWork): Promise<number[][]>;
  dispose(): Promise<void>;
}

/**
 * Continues the prompts one after the other, as often as the work's times say.
 * @param continuePrompt its deadline is a time of `performance.now()`.
 */
export async function runPrompts(
  { prompts, mostMs, leastMs }: GenerateWork,
  continuePrompt: (tokens: readonly number[], deadline: number) => Promise<Omit<Run, "prompt">>,
): Promise<Run[]> {
  const runs: Run[] = [];
  const begin = performance.now();
  while (true) {
    const prompt = runs.length % prompts.length;
    const elapsed = performance.now() - begin;
    const once = runs.length >= prompts.length;
    if (runs.length > 0 && (elapsed > mostMs || (once && elapsed > leastMs))) return runs;
    runs.push({ prompt, ...(await continuePrompt(prompts[prompt] ?? [], begin + mostMs)) });
  }
}

/** Makes this process answer the parent. @param load makes the engine of a configuration. */
export function serve(load: (configuration: unknown) => Promise<Engine>): void {
  const beforeLoad = process.memoryUsage().rss / 1e6;
  let engine: Engine | undefined;
  const handle = async (ask: Ask): Promise<Answer> => {
    if (ask.ask === "load") {
      const begin = performance.now();
      engine = await load(ask.configuration);
      return { answer: "loaded", about: engine.about, loadMs: performance.now() - begin };
    }
    if (engine === undefined) throw new Error("asked before loading");
    switch (ask.ask) {
      case "generate":
        return { answer: "generated", runs: await engine.generate(ask.work) };
      case "steps":
        return { answer: "timed", stepMs: (await engine.timeSteps?.(ask.work)) ?? [] };
      case "finish":
        await engine.dispose();
        return { answer: "finished", memory: { beforeLoad, peak: peakMemory() } };
      default:
        return ask satisfies never;
    }
  };
  // The parent is gone: an engine's threads would keep this process alive for ever.
  process.on("disconnect", () => process.exit(1));
  process.on("message", (ask: Ask) => {
    handle(ask)
      .catch((error: unknown): Answer => {
        const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
        return { answer: "failed", message };
      })
      .then((answer) => {
        process.send?.(answer, () => {
          if (answer.answer === "finished" || answer.answer === "failed") process.exit();
        });
      });
  });
}

/**
 * Peak resident memory in MB. Linux also counts, in getrusage, what the process was before `exec`;
 * the high-water mark of /proc starts with the program itself.
 */
function peakMemory(): number {
  const status = "/proc/self/status";
  const line = existsSync(status) && /VmHWM:\s+(\d+) kB/.exec(readFileSync(status, "utf8"));
  return line ? (Number(line[1]) * 1024) / 1e6 : (process.resourceUsage().maxRSS * 1024) / 1e6;
}

import { type Graph, sourcesOf, typeOf } from "../../src/ir/graph.ts";
import type { Program, Traffic } from "../../src/ir/program.ts";
import { type DimBindings, elementCount } from "../../src/ir/shape.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { Executable, LoopEnd, RunLoop, Tensors } from "../executor.ts";
import { disposed } from "./device.ts";
import { LoadedProgram, type ProgramHome } from "./loaded-program.ts";

/** Programs kept for different row counts: a prompt has full chunks and one shorter rest. */
const programsKept = 8;

/** What a session does for its executables. */
export interface ExecutableHost {
  readonly home: ProgramHome;
  /** Values of the session's symbols. */
  readonly dims: DimBindings;
  /** The program of a graph, whose states have been allocated. */
  compile(graph: Graph, dims: DimBindings): Program;
  /** Runs one piece of work of the session after the other. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Brings the session to rest after an error, and says what to throw. */
  failed(error: unknown, path: string): unknown;
}

/** Symbols of a graph that the session does not bind. */
export function openSymbols(graph: Graph, dims: DimBindings): ReadonlySet<string> {
  const symbols = graph.types.flatMap(({ shape }) =>
    shape.filter((dim): dim is string => typeof dim === "string"),
  );
  return new Set(symbols.filter((symbol) => dims[symbol] === undefined));
}

/** What one launch took on the device. */
export interface LaunchTime {
  /** Symbol of the kernel, and the folder of its body. */
  readonly kernel: string;
  readonly family: string;
  /** Of the graph nodes it computes. */
  readonly label: string;
  readonly traffic: Traffic;
  readonly ms: number;
}

/** A graph as programs: one, or one for each number of rows it is run with. */
export class CudaExecutable implements Executable {
  readonly #graph: Graph;
  readonly #host: ExecutableHost;
  readonly #onDispose: () => void;
  readonly #isCaptured: boolean;
  /** By the values of the run's symbols, least recently used first. */
  readonly #programs = new Map<string, LoadedProgram>();
  #isDisposed = false;

  /** @param program of a graph without open symbols: runs as one captured launch. */
  constructor(
    graph: Graph,
    host: ExecutableHost,
    program: Program | undefined,
    onDispose: () => void,
  ) {
    this.#graph = graph;
    this.#host = host;
    this.#onDispose = onDispose;
    this.#isCaptured = program !== undefined;
    if (program !== undefined)
      this.#programs.set("", new LoadedProgram(program, host.home, this.#isCaptured));
  }

  /** Device memory of its programs' own. */
  get bytes(): number {
    return [...this.#programs.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  prepare(dims: DimBindings = {}): Promise<void> {
    return this.#work(async () => {
      await this.#program(dims).prepare();
    });
  }

  run(inputs: Tensors, dims: DimBindings = {}): Promise<Tensors> {
    return this.#work(async () => {
      this.#checkInputs(inputs, dims);
      const program = this.#program(dims);
      await program.prepare();
      return program.run(inputs);
    });
  }

  prepareLoop(): Promise<boolean> {
    return this.#work(async () => this.#isCaptured && this.#program({}).prepareLoop());
  }

  loop(inputs: Tensors, end: LoopEnd): Promise<RunLoop | undefined> {
    return new Promise((started, notStarted) => {
      // Keeps the session from other work until the loop is over.
      const over = this.#work(async () => {
        this.#checkInputs(inputs, {});
        const isReady = this.#isCaptured && (await this.#program({}).prepareLoop());
        if (!isReady) {
          started(undefined);
          return;
        }
        const loop = this.#program({}).startLoop(inputs, end);
        await new Promise<void>((ended, failed) => {
          started({
            stop: () => loop.stop(),
            next: async () => {
              try {
                const outputs = await loop.next();
                if (outputs === undefined) ended();
                return outputs;
              } catch (error) {
                failed(error);
                // Throws what the session has to say to the error.
                await over;
                throw error;
              }
            },
          });
        });
      });
      over.catch(notStarted);
    });
  }

  /** One run, timed launch by launch; its outputs are dropped, its states stay changed. */
  profile(inputs: Tensors, dims: DimBindings = {}): Promise<readonly LaunchTime[]> {
    return this.#work(async () => {
      this.#checkInputs(inputs, dims);
      const program = this.#program(dims);
      await program.prepare();
      const { kernels, launches } = program.program;
      const families = new Map(kernels.map(({ entry, family }) => [entry, family]));
      const times = await program.profile(inputs);
      return launches.map(({ kernel, label, traffic }, i) => ({
        kernel,
        family: families.get(kernel) ?? "",
        label,
        traffic,
        ms: times[i] ?? Number.NaN,
      }));
    });
  }

  /**
   * One run as `run` makes it, all launches at once; its outputs are dropped, its states stay changed.
   * @returns its milliseconds by the device's clock, without what the host adds before and after.
   */
  time(inputs: Tensors, dims: DimBindings = {}): Promise<number> {
    return this.#work(async () => {
      this.#checkInputs(inputs, dims);
      const program = this.#program(dims);
      await program.prepare();
      return program.time(inputs);
    });
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const { device, control, stream } = this.#host.home;
    // A run may be under way; what it uses is still there then.
    control.stop();
    device.release(() => device.driver.streamSynchronize(stream));
    for (const program of this.#programs.values()) program.dispose();
    this.#programs.clear();
    this.#onDispose();
  }

  #work<T>(work: () => Promise<T>): Promise<T> {
    return this.#host.exclusive(async () => {
      try {
        this.#host.home.enter();
        if (this.#isDisposed) throw disposed("graph");
        return await work();
      } catch (error) {
        throw this.#host.failed(error, this.#graph.name);
      }
    });
  }

  #program(dims: DimBindings): LoadedProgram {
    const key = this.#isCaptured ? "" : JSON.stringify(dims);
    let program = this.#programs.get(key);
    if (program === undefined) {
      const compiled = this.#host.compile(this.#graph, { ...this.#host.dims, ...dims });
      program = new LoadedProgram(compiled, this.#host.home, this.#isCaptured);
    } else this.#programs.delete(key);
    this.#programs.set(key, program);
    const [oldest] = this.#programs;
    if (this.#programs.size > programsKept && oldest !== undefined) {
      this.#programs.delete(oldest[0]);
      oldest[1].dispose();
    }
    return program;
  }

  #checkInputs(inputs: Tensors, dims: DimBindings): void {
    const bound = { ...this.#host.dims, ...dims };
    for (const { name, value } of sourcesOf(this.#graph, "input")) {
      const wanted = elementCount(typeOf(this.#graph, value).shape, bound);
      const got = inputs[name]?.length;
      if (got === wanted) continue;
      throw new HydrantError(
        "executor/input",
        `Input "${name}" needs ${wanted} elements, got ${got ?? "none"}.`,
        { path: this.#graph.name },
      );
    }
  }
}

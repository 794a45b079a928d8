import type { Graph } from "../src/ir/graph.ts";
import { noChoice } from "../src/ir/reference/sampling.ts";
import { rootOnly, type TreeTopology } from "../src/speculation/tree.ts";
import { HydrantError } from "../src/util/errors.ts";
import { eventLoopTurn } from "./event-loop.ts";
import type { Executable, LoopEnd, RunLoop, Session, Tensors } from "./executor.ts";

/** The graphs of one model with one draft method (see src/models/decode-graphs.ts). */
export interface DecodeGraphs {
  readonly prefill: Graph;
  readonly step: (tree: TreeTopology) => Graph;
  /** Brings the drafter up to date before it drafts, where steps leave that for later. */
  readonly catchUp?: Graph | undefined;
}

export interface DecoderLimits {
  /** Most tokens the model may hold, prompt and answer. */
  readonly contextLength: number;
  /** Prompt tokens absorbed at a time: bounds scratch memory and the delay of an abort. */
  readonly prefillRows: number;
}

export interface StepInputs {
  /** f32[7], see `samplingFields`. */
  readonly sampling: Float32Array;
  readonly seed: bigint;
}

/** When steps that follow each other end. */
export interface StepsEnd extends Pick<LoopEnd, "lastLength" | "stopTokens"> {
  readonly signal?: AbortSignal | undefined;
}

export interface StepOutcome {
  /** Tokens of the tree's nodes, root first, in tree order. */
  readonly tree: readonly number[];
  /** Tokens committed: the root and the accepted drafts. */
  readonly committed: readonly number[];
  /** Tree nodes of `committed`. */
  readonly path: readonly number[];
  /** All outputs of the step graph, valid until the next step. */
  readonly outputs: Tensors;
}

/**
 * One text in progress on a device: feeds the prompt, runs steps, and mirrors the committed tokens.
 * All lengths and caches live in the session; the host only reads what a step committed.
 */
export class Decoder {
  readonly #session: Session;
  readonly #graphs: DecodeGraphs;
  readonly #limits: DecoderLimits;
  readonly #prefill: Executable;
  readonly #catchUp: Executable | undefined;
  readonly #steps = new Map<string, Executable>();
  #tokens: number[] = [];
  /** The next token: decided, not committed. */
  #root = 0;
  /** Committed tokens the drafter has absorbed; counted only with `catchUp`. */
  #absorbed = 0;

  constructor(session: Session, graphs: DecodeGraphs, limits: DecoderLimits) {
    this.#session = session;
    this.#graphs = graphs;
    this.#limits = limits;
    this.#prefill = session.compile(graphs.prefill);
    this.#catchUp = graphs.catchUp && session.compile(graphs.catchUp);
    this.#step(rootOnly);
  }

  /** Tokens the session has committed, prompt included. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  get contextLength(): number {
    return this.#limits.contextLength;
  }

  /** Deepest tree the next step may use without passing the context limit; negative when full. */
  get room(): number {
    return this.#limits.contextLength - 1 - this.#tokens.length;
  }

  /**
   * Makes the session hold `prompt`, reusing what it shares with the tokens held already.
   * @param first sampling of the first new token, which becomes the root.
   * @returns tokens that were reused.
   * @throws HydrantError for an empty prompt or one longer than the context.
   */
  async start(prompt: readonly number[], first: StepInputs, signal?: AbortSignal): Promise<number> {
    const { contextLength, prefillRows } = this.#limits;
    if (prompt.length === 0) {
      throw new HydrantError("generate/empty-prompt", "The prompt is empty.", {
        hint: "Give at least one token.",
      });
    }
    if (prompt.length > contextLength) {
      throw new HydrantError(
        "generate/prompt-too-long",
        `The prompt has ${prompt.length} tokens, the context holds ${contextLength}.`,
        { hint: "Shorten the prompt." },
      );
    }
    // The last shared token is absorbed again: what a drafter stored for it depends on the token after.
    const reused = Math.max(0, commonPrefix(this.#tokens, prompt) - 1);
    const kept = Math.min(reused, prompt.length - 1);
    this.#truncate(kept);
    while (this.#tokens.length < prompt.length - 1) {
      await eventLoopTurn();
      signal?.throwIfAborted();
      const from = this.#tokens.length;
      const to = Math.min(from + prefillRows, prompt.length - 1);
      await this.#prefill.run(
        {
          tokens: Int32Array.from(prompt.slice(from, to)),
          following: Int32Array.from(prompt.slice(from + 1, to + 1)),
          count: Int32Array.of(to - from),
        },
        { rows: to - from },
      );
      this.#tokens.push(...prompt.slice(from, to));
    }
    signal?.throwIfAborted();
    this.#root = prompt.at(-1) ?? 0;
    this.#session.writeState("root", Int32Array.of(this.#root));
    await this.step(rootOnly, first);
    return kept;
  }

  /**
   * Makes ready what a prompt of this length and steps over these trees run, so that none of them
   * has to wait for a compiler.
   */
  async prepare(promptLength: number, trees: readonly TreeTopology[]): Promise<void> {
    const { prefillRows } = this.#limits;
    const rows = Math.max(promptLength - 1, 0);
    if (rows >= prefillRows) await this.#prefill.prepare?.({ rows: prefillRows });
    if (rows % prefillRows > 0) await this.#prefill.prepare?.({ rows: rows % prefillRows });
    await this.#step(rootOnly).prepare?.();
    // A policy of drafting trees alone plays the root's where they do not fit.
    const drafting = trees.filter(({ size }) => size > 1);
    for (const tree of drafting.length > 0 ? drafting : trees) {
      // Where the drafter's work is put off, the policy chooses anew before every step.
      const loops = this.#graphs.catchUp === undefined && (await this.#step(tree).prepareLoop?.());
      if (loops !== true) await this.#step(tree).prepare?.();
    }
  }

  /**
   * Draft, verify, accept, commit over one tree. The tree must fit in `room`.
   * @throws HydrantError `sampling/no-choice`
   */
  async step(tree: TreeTopology, { sampling, seed }: StepInputs): Promise<StepOutcome> {
    if (tree.size > 1) await this.#absorbPending();
    const outputs = await this.#step(tree).run({ sampling, seed: BigUint64Array.of(seed) });
    return this.#commit(outputs);
  }

  /**
   * Steps over one tree, one after the other, while none would begin with more than `lastLength`
   * tokens. On a device that repeats them by itself it may be steps ahead of what was taken: leaving
   * early, or an abort, ends it after the step under way, and `tokens` then holds all it committed.
   * Stop tokens only keep it from running ahead; the caller leaves when it meets one.
   * @throws HydrantError `sampling/no-choice`
   */
  async *steps(
    tree: TreeTopology,
    inputs: StepInputs,
    end: StepsEnd,
  ): AsyncGenerator<StepOutcome, void, void> {
    while (this.#tokens.length <= end.lastLength) {
      const loop = await this.#loop(tree, inputs, end);
      if (loop === undefined) yield await this.step(tree, inputs);
      else yield* this.#follow(loop, end.signal);
    }
  }

  async #loop(
    tree: TreeTopology,
    { sampling, seed }: StepInputs,
    { lastLength, stopTokens }: StepsEnd,
  ): Promise<RunLoop | undefined> {
    // What the drafter has put off is done between the steps.
    if (tree.size > 1 && this.#graphs.catchUp !== undefined) return undefined;
    return this.#step(tree).loop?.(
      { sampling, seed: BigUint64Array.of(seed) },
      { length: this.#tokens.length, lastLength, stopTokens },
    );
  }

  async *#follow(
    loop: RunLoop,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<StepOutcome, void, void> {
    const stop = () => loop.stop();
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    let isOver = false;
    const next = async () => {
      isOver = true;
      const outputs = await loop.next();
      isOver = outputs === undefined;
      return outputs;
    };
    try {
      for (let outputs = await next(); outputs !== undefined; outputs = await next())
        yield this.#commit(outputs);
    } finally {
      signal?.removeEventListener("abort", stop);
      stop();
      // The session holds what these steps committed, so the mirror must.
      while (!isOver) {
        const outputs = await next();
        if (outputs !== undefined && output(outputs, "count")[0] !== 0) this.#commit(outputs);
      }
    }
  }

  #commit(outputs: Tensors): StepOutcome {
    const count = output(outputs, "count")[0] ?? 0;
    // Kernels cannot throw: a step that found no token to go on with commits none, not even the root.
    if (count === 0) throw noChoice();
    const path = output(outputs, "path").slice(0, count);
    const tokens = output(outputs, "tree");
    const committed = path.map((node) => tokens[node] ?? 0);
    this.#tokens.push(...committed);
    this.#root = output(outputs, "following")[count - 1] ?? 0;
    return { tree: tokens, committed, path, outputs };
  }

  dispose(): void {
    for (const step of this.#steps.values()) step.dispose();
    this.#catchUp?.dispose();
    this.#prefill.dispose();
    this.#session.dispose();
  }

  async #absorbPending(): Promise<void> {
    if (this.#catchUp === undefined) return;
    while (this.#absorbed < this.#tokens.length) {
      const from = this.#absorbed;
      const to = Math.min(from + this.#limits.prefillRows, this.#tokens.length);
      const following = [...this.#tokens.slice(from + 1, to + 1), this.#root].slice(0, to - from);
      await this.#catchUp.run(
        {
          start: Int32Array.of(from),
          following: Int32Array.from(following),
          count: Int32Array.of(to - from),
        },
        { rows: to - from },
      );
      this.#absorbed = to;
    }
  }

  #step(tree: TreeTopology): Executable {
    let step = this.#steps.get(tree.key);
    if (step === undefined) {
      step = this.#session.compile(this.#graphs.step(tree));
      this.#steps.set(tree.key, step);
    }
    return step;
  }

  /** Forgets all tokens from `length` on. Caches need no change: slots after the length are never read. */
  #truncate(length: number): void {
    this.#tokens = this.#tokens.slice(0, length);
    this.#absorbed = Math.min(this.#absorbed, length);
    this.#session.writeState("length", Int32Array.of(length));
  }
}

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function output(outputs: Tensors, name: string): number[] {
  const data = outputs[name];
  if (!(data instanceof Int32Array)) throw new TypeError(`the step graph has no output "${name}"`);
  return Array.from(data);
}

import type { DType } from "../src/ir/dtype.ts";
import type { Graph } from "../src/ir/graph.ts";
import type { SyntheticValues } from "../src/ir/program.ts";
import type { DimBindings, Shape } from "../src/ir/shape.ts";

/**
 * What runs graphs. The reference interpreter, the CPU executor and the CUDA executor implement
 * this and nothing more; the decode loop knows no other way to a device.
 *
 * executor ── load(weights) ──> LoadedWeights ── session(capacity) ──> Session ── compile(graph) ──> Executable
 */
export interface Executor {
  /** For people: `cpu`, `interpreter`, `cuda:0`. */
  readonly device: string;
  /**
   * Brings the weights to the device, in their stored type.
   * @throws HydrantError when they do not fit or hold NaN or infinity, naming the tensor.
   */
  load(parameters: ParameterSource, signal?: AbortSignal): Promise<LoadedWeights>;
  dispose(): Promise<void>;
}

/** Weights by the names the graphs use for their parameters. */
export interface ParameterSource {
  readonly parameters: ReadonlyMap<string, { readonly dtype: DType; readonly shape: Shape }>;
  /**
   * Fills `into` with the tensor's bytes from `offset` on (row-major, little-endian). Several reads
   * may be under way at once.
   */
  read(name: string, into: Uint8Array, offset?: number): Promise<void>;
  /** What a weight that comes from no file holds, so that a device can make it itself. */
  synthetic?(name: string): SyntheticValues | undefined;
}

export interface LoadedWeights {
  /** Bytes the weights take on the device. */
  readonly byteLength: number;
  /** A generation in progress: its states (caches, lengths) live as long as the session. */
  session(dims: { readonly capacity: number }): Session;
  dispose(): Promise<void>;
}

export type TensorData = Float32Array | Int32Array | BigUint64Array;
export type Tensors = Readonly<Record<string, TensorData>>;

export interface Session {
  /**
   * Makes a graph ready to run in this session. States are shared by name with the session's other
   * graphs; a state seen for the first time starts as zeros.
   * @throws HydrantError for a parameter the weights lack or a state declared with another type.
   */
  compile(graph: Graph): Executable;
  /** A copy of a state; floats widened to f32. @throws HydrantError for an unknown name. */
  readState(name: string): TensorData;
  /** Overwrites a whole state. @throws HydrantError for an unknown name or a wrong length. */
  writeState(name: string, data: TensorData): void;
  dispose(): void;
}

/** What ends a loop of runs, tested on the device after each. See `Executable.loop`. */
export interface LoopEnd {
  /** Tokens committed before the first run: what the state `length` holds. */
  readonly length: number;
  /** Greatest `length` from which another run may start. */
  readonly lastLength: number;
  /** A run that commits one of these is the last. A device may heed only the first of them. */
  readonly stopTokens: readonly number[];
}

/**
 * Runs that follow each other on the device without the host. The device may be many runs ahead of
 * what was taken. Nothing else of the session runs until `next` has said that the loop is over.
 */
export interface RunLoop {
  /** Outputs of the next run, valid for good; undefined once the loop is over. */
  next(): Promise<Tensors | undefined>;
  /** Ends the loop after the run under way; what ran until then is still to be taken. */
  stop(): void;
}

export interface Executable {
  /**
   * Does now what the first run with these row counts would have to do before it: compiling and
   * loading kernels, capturing launches.
   */
  prepare?(dims?: DimBindings): Promise<void>;
  /**
   * Runs the graph once.
   * @param inputs every input of the graph by name, exactly as long as its shape.
   * @param dims values of the symbols the session does not fix (`rows`).
   * @returns the outputs by name, valid until the next run in the same session.
   */
  run(inputs: Tensors, dims?: DimBindings): Tensors | Promise<Tensors>;
  /** As `prepare`, for `loop`. @returns false when the device has no such loops. */
  prepareLoop?(): Promise<boolean>;
  /**
   * Runs the graph again and again with the same inputs, at least once, until `end` or for as many
   * runs as the device keeps outputs of. The graph has the states `length` i32[1], the committed
   * tokens, and `history` i32[capacity], what they are; a run that commits none is the last.
   * @returns undefined when the device has no such loops.
   */
  loop?(inputs: Tensors, end: LoopEnd): Promise<RunLoop | undefined>;
  dispose(): void;
}

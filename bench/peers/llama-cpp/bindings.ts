/** The part of node-llama-cpp 3.22 that is used here; it is not among our dependencies. */
export interface NodeLlamaCpp {
  getLlama(options: {
    readonly gpu: false;
    readonly build: "never";
    readonly skipDownload: true;
    readonly logLevel: "error";
    readonly maxThreads: number;
  }): Promise<Llama>;
}

export interface Llama {
  readonly systemInfo: string;
  readonly llamaCppRelease: { readonly repo: string; readonly release: string };
  loadModel(options: { readonly modelPath: string }): Promise<LlamaModel>;
}

export interface LlamaModel {
  createContext(options: {
    readonly contextSize: number;
    readonly flashAttention: boolean;
    readonly threads: { readonly ideal: number; readonly min: number };
  }): Promise<LlamaContext>;
  dispose(): Promise<void>;
}

export interface LlamaContext {
  getSequence(): LlamaSequence;
  dispose(): Promise<void>;
  /** The native context. Private to the package, hence the pinned version. */
  readonly _ctx: NativeContext;
}

export interface LlamaSequence {
  clearHistory(): Promise<void>;
  evaluate(
    tokens: readonly number[],
    options: { readonly temperature: number; readonly yieldEogToken: boolean },
  ): AsyncGenerator<number, void, void>;
}

export interface NativeContext {
  initBatch(tokens: number): void;
  /** @returns for every requested logit row its index in the batch. */
  addToBatch(
    sequence: number,
    firstPosition: number,
    tokens: Uint32Array,
    logitRows: Uint32Array,
  ): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(row: number, sampler: unknown): Promise<number>;
  removeTokenCellsFromSequence(sequence: number, from: number, to: number): boolean;
}

/** `LlamaSampler`, which the package does not export. */
export interface SamplerClass {
  new (model: LlamaModel): NativeSampler;
}

export interface NativeSampler {
  readonly _sampler: unknown;
  applyConfig(config: { readonly temperature: number }): void;
  dispose(): void;
}

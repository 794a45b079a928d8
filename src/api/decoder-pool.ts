import { Decoder } from "../../runtime/decoder.ts";
import type { LoadedWeights } from "../../runtime/executor.ts";
import { deferred } from "../drafters/deferred.ts";
import { noDrafter } from "../drafters/none.ts";
import { type AcceptanceRule, buildPrefill, buildStep } from "../models/decode-graphs.ts";
import type { BaseModel } from "../models/llama.ts";
import type { Drafter } from "../speculation/drafter.ts";

/** What a decoder's graphs and caches are made for. */
export interface DecoderKind {
  readonly rule: AcceptanceRule;
  /** `sometimes` puts the drafter's own work off until it drafts. */
  readonly drafting: "never" | "sometimes" | "always";
  /** Largest tree its caches have slots for. */
  readonly treeNodes: number;
}

export interface PooledDecoder extends DecoderKind {
  readonly decoder: Decoder;
}

/** What decoders of a model are made of; see `ModelParts`. */
export interface DecoderParts {
  readonly base: BaseModel;
  readonly drafter: Drafter;
  readonly weights: LoadedWeights;
  readonly contextLength: number;
  readonly prefillRows: number;
}

/** Room for the published trees, so that one decoder serves calls with different trees. */
export const usualTreeNodes = 64;

/** The decoders of a model: one for each running generation, and one at rest for the next. */
export class DecoderPool {
  readonly #parts: DecoderParts;
  /** Its caches serve as prefix cache for the next call. */
  #idle: PooledDecoder | undefined;
  readonly #active = new Set<PooledDecoder>();
  #disposed = false;

  constructor(parts: DecoderParts) {
    this.#parts = parts;
  }

  /** A decoder outside the pool, the caller's to dispose. */
  create({ rule, drafting, treeNodes }: DecoderKind): Decoder {
    const { base, weights, contextLength, prefillRows } = this.#parts;
    const later = drafting === "sometimes" ? deferred(base, this.#parts.drafter) : undefined;
    const drafter = drafting === "never" ? noDrafter() : (later?.drafter ?? this.#parts.drafter);
    return new Decoder(
      // A tree's nodes take slots past the last committed token, however close the limit is.
      weights.session({ capacity: contextLength + treeNodes }),
      {
        prefill: buildPrefill(base, drafter),
        step: (tree) => buildStep(base, drafter, tree, rule),
        catchUp: later?.catchUp,
      },
      { contextLength, prefillRows },
    );
  }

  /** The decoder at rest where it fits, else a new one. */
  take(kind: DecoderKind): PooledDecoder {
    const idle = this.#idle;
    this.#idle = undefined;
    let pooled = idle;
    const fits =
      idle !== undefined &&
      idle.rule === kind.rule &&
      idle.drafting === kind.drafting &&
      idle.treeNodes >= kind.treeNodes;
    if (pooled === undefined || !fits) {
      idle?.decoder.dispose();
      const roomy = { ...kind, treeNodes: Math.max(kind.treeNodes, usualTreeNodes) };
      pooled = { ...roomy, decoder: this.create(roomy) };
    }
    this.#active.add(pooled);
    return pooled;
  }

  /** @param reusable false when nobody knows what its caches hold. */
  giveBack(pooled: PooledDecoder, reusable: boolean): void {
    this.#active.delete(pooled);
    if (this.#disposed) return;
    if (reusable && this.#idle === undefined) this.#idle = pooled;
    else pooled.decoder.dispose();
  }

  /** Running generations fail. */
  dispose(): void {
    this.#disposed = true;
    for (const { decoder } of this.#active) decoder.dispose();
    this.#idle?.decoder.dispose();
  }
}

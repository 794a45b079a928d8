import Pbf from "pbf";

/** Piece types of `sentencepiece_model.proto`. */
export const KIND = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

export type SmallPiece = readonly [text: string, score: number, kind?: number];

export interface SmallModel {
  readonly pieces: readonly SmallPiece[];
  readonly type?: number;
  readonly byteFallback?: boolean;
  readonly charsmap?: Uint8Array;
  readonly addDummyPrefix?: boolean;
  readonly removeExtraWhitespaces?: boolean;
}

/** The bytes of a `tokenizer.model` with the given content. */
export function sentencePieceBytes(model: SmallModel): Uint8Array {
  const pbf = new Pbf();
  for (const [text, score, kind] of model.pieces) {
    pbf.writeMessage(
      1,
      (_: null, out: Pbf) => {
        out.writeStringField(1, text);
        out.writeFloatField(2, score);
        if (kind !== undefined) out.writeVarintField(3, kind);
      },
      null,
    );
  }
  pbf.writeMessage(
    2,
    (_: null, out: Pbf) => {
      out.writeVarintField(3, model.type ?? 2);
      out.writeBooleanField(35, model.byteFallback ?? true);
      // Written by real trainers, unknown to us: -1 as a ten-byte varint, and a float.
      out.writeVarintField(43, -1);
      out.writeFloatField(10, 0.9995);
    },
    null,
  );
  pbf.writeMessage(
    3,
    (_: null, out: Pbf) => {
      out.writeStringField(1, "identity");
      if (model.charsmap !== undefined) out.writeBytesField(2, model.charsmap);
      out.writeBooleanField(3, model.addDummyPrefix ?? true);
      out.writeBooleanField(4, model.removeExtraWhitespaces ?? false);
    },
    null,
  );
  return pbf.finish().slice();
}

/** Unknown, begin and end token, then the 256 byte pieces: ids 0 to 258, as in Llama. */
export const LLAMA_HEAD: readonly SmallPiece[] = [
  ["<unk>", 0, KIND.unknown],
  ["<s>", 0, KIND.control],
  ["</s>", 0, KIND.control],
  ...Array.from(
    { length: 256 },
    (_, byte): SmallPiece => [
      `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
      0,
      KIND.byte,
    ],
  ),
];

/** A Llama-type BPE model whose pieces, best first, follow the head. */
export function llamaModel(pieces: readonly string[]): SmallModel {
  return { pieces: [...LLAMA_HEAD, ...pieces.map((text, i): SmallPiece => [text, -i])] };
}

import Pbf from "pbf";
import { HydrantError } from "../util/errors.ts";
import { messageOf } from "./json-files.ts";

/** Kinds of pieces, with the numbers of SentencePiece's `ModelProto.SentencePiece.Type`. */
const PIECE_KINDS = ["normal", "unknown", "control", "user-defined", "unused", "byte"] as const;
export type PieceKind = (typeof PIECE_KINDS)[number];

/** One vocabulary entry; its id is its index. */
export interface Piece {
  readonly text: string;
  /** Log probability (unigram) or merge priority (BPE), as stored in float32. */
  readonly score: number;
  readonly kind: PieceKind;
}

/** The parts of a SentencePiece model that encoding and decoding use. */
export interface SentencePieceModel {
  readonly type: "bpe" | "unigram";
  readonly pieces: readonly Piece[];
  readonly unkId: number;
  /** Written forms of the begin and end tokens; they need not be in the vocabulary. */
  readonly bosPiece: string;
  readonly eosPiece: string;
  /** Characters without a piece are spelled as UTF-8 byte pieces instead of becoming unknown. */
  readonly byteFallback: boolean;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
  /** The space mark goes after words instead of before. */
  readonly whitespaceAsSuffix: boolean;
}

/** Field numbers of `sentencepiece_model.proto`. */
const MODEL = { pieces: 1, trainer: 2, normalizer: 3 } as const;
const PIECE = { text: 1, score: 2, kind: 3 } as const;
const TRAINER = { type: 3, suffix: 24, byteFallback: 35, bosPiece: 46, eosPiece: 47 } as const;
const NORMALIZER = { charsmap: 2, dummyPrefix: 3, removeExtra: 4, escape: 5 } as const;
const MODEL_TYPES: Readonly<Record<number, string>> = {
  1: "unigram",
  2: "bpe",
  3: "word",
  4: "char",
};

/**
 * Parses the bytes of a `tokenizer.model` (protocol buffer `sentencepiece.ModelProto`).
 * @throws HydrantError `sentencepiece/broken` when the bytes are no such model,
 * `sentencepiece/unsupported` for word and char models and for character-map normalizers.
 */
export function parseSentencePieceModel(bytes: Uint8Array, path: string): SentencePieceModel {
  let fields: RawModel;
  try {
    fields = readModel(bytes);
  } catch (cause) {
    throw broken(`it ends or turns unreadable in the middle (${messageOf(cause)})`, path, cause);
  }
  const type = MODEL_TYPES[fields.type];
  if (type !== "bpe" && type !== "unigram") {
    throw unsupported(`models of type ${type ?? fields.type}`, path);
  }
  if (fields.charsmapBytes > 0) throw unsupported("normalizers with a character map", path);
  const unkId = fields.pieces.findIndex((piece) => piece.kind === "unknown");
  if (fields.pieces.length === 0) throw broken("it holds no pieces", path);
  if (unkId < 0) throw broken("it has no unknown piece", path);
  if (fields.byteFallback) {
    const present = new Set(fields.pieces.map((piece) => piece.text));
    for (let byte = 0; byte < 256; byte++) {
      if (!present.has(bytePiece(byte)))
        throw broken(`byte piece ${bytePiece(byte)} is missing`, path);
    }
  }
  return { ...fields, type, unkId };
}

/** The piece that spells one byte, for example `<0x0A>`. */
export function bytePiece(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

interface RawModel extends Omit<SentencePieceModel, "type" | "unkId"> {
  readonly pieces: Piece[];
  readonly type: number;
  readonly charsmapBytes: number;
}

function readModel(bytes: Uint8Array): RawModel {
  const pieces: Piece[] = [];
  // Absent fields mean these values (proto2 defaults).
  const trainer = {
    type: 1,
    whitespaceAsSuffix: false,
    byteFallback: false,
    bosPiece: "<s>",
    eosPiece: "</s>",
  };
  const normalizer = {
    charsmapBytes: 0,
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
    escapeWhitespaces: true,
  };
  readMessage(new Pbf(bytes), bytes.length, (tag, pbf) => {
    if (tag === MODEL.pieces) pieces.push(readPiece(pbf));
    else if (tag === MODEL.trainer)
      readNested(pbf, (field) => {
        if (field === TRAINER.type) trainer.type = pbf.readVarint();
        else if (field === TRAINER.suffix) trainer.whitespaceAsSuffix = pbf.readBoolean();
        else if (field === TRAINER.byteFallback) trainer.byteFallback = pbf.readBoolean();
        else if (field === TRAINER.bosPiece) trainer.bosPiece = readText(pbf);
        else if (field === TRAINER.eosPiece) trainer.eosPiece = readText(pbf);
      });
    else if (tag === MODEL.normalizer)
      readNested(pbf, (field) => {
        if (field === NORMALIZER.charsmap) normalizer.charsmapBytes = readBytes(pbf).length;
        else if (field === NORMALIZER.dummyPrefix) normalizer.addDummyPrefix = pbf.readBoolean();
        else if (field === NORMALIZER.removeExtra)
          normalizer.removeExtraWhitespaces = pbf.readBoolean();
        else if (field === NORMALIZER.escape) normalizer.escapeWhitespaces = pbf.readBoolean();
      });
  });
  return { pieces, ...trainer, ...normalizer };
}

function readPiece(pbf: Pbf): Piece {
  let text = "";
  let score = 0;
  let kind: number = 1;
  readNested(pbf, (field) => {
    if (field === PIECE.text) text = readText(pbf);
    else if (field === PIECE.score) score = pbf.readFloat();
    else if (field === PIECE.kind) kind = pbf.readVarint();
  });
  const kindName = PIECE_KINDS[kind - 1];
  if (kindName === undefined) throw new RangeError(`unknown piece kind ${kind}`);
  if (Number.isNaN(score)) throw new RangeError(`piece ${JSON.stringify(text)} has no valid score`);
  return { text, score, kind: kindName };
}

type FieldReader = (tag: number, pbf: Pbf) => void;

/** pbf reads past the end of a truncated file without a word; every message must end where it says. */
function readMessage(pbf: Pbf, end: number, read: FieldReader): void {
  if (end > pbf.length) throw new RangeError(`a message at byte ${pbf.pos} runs past the end`);
  pbf.readFields((tag: number, _result: null, reader: Pbf) => read(tag, reader), null, end);
  if (pbf.pos !== end) throw new RangeError(`a message does not end at byte ${end}`);
}

function readNested(pbf: Pbf, read: FieldReader): void {
  if (pbf.type !== 2) throw new RangeError(`no message at byte ${pbf.pos}`);
  const length = pbf.readVarint();
  readMessage(pbf, pbf.pos + length, read);
}

function readBytes(pbf: Pbf): Uint8Array {
  const bytes = pbf.readBytes();
  if (pbf.pos > pbf.length) throw new RangeError("a field runs past the end");
  return bytes;
}

function readText(pbf: Pbf): string {
  // pbf's own string reader drops a byte order mark; a piece may be one.
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readBytes(pbf));
}

function broken(why: string, path: string, cause?: unknown): HydrantError {
  return new HydrantError("sentencepiece/broken", `This is not a SentencePiece model: ${why}.`, {
    path,
    hint: "Download it again; it may be cut short or a Git LFS pointer.",
    cause,
  });
}

function unsupported(what: string, path: string): HydrantError {
  return new HydrantError("sentencepiece/unsupported", `SentencePiece ${what} are not supported.`, {
    path,
    hint: "Put the model's tokenizer.json beside it; that is read first.",
  });
}

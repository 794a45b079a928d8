/**
 * Public API. Load a model with `loadModel`, then `stream` or `generate`.
 */
export type { FinishReason, GenerationStats, TraceStep } from "./api/generation-stats.ts";
export { type LoadOptions, loadModel } from "./api/load-model.ts";
export { type GenerateChunk, type GenerateResult, Model } from "./api/model.ts";
export type { GenerateOptions, GenerateRequest, PromptInput } from "./api/request.ts";
export { parseTreeJson } from "./speculation/tree-json.ts";
export type { Message } from "./text/message.ts";
export { openTokenizer } from "./api/open-tokenizer.ts";
export type { Tokenizer } from "./text/tokenizer.ts";
export { HydrantError } from "./util/errors.ts";
export { convertCheckpoint, type ConvertedFile } from "./weights/convert.ts";
export type { HubProgress } from "./weights/hub.ts";

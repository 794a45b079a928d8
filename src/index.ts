/**
 * Everything a program may use. Load a model with `loadModel`, then `stream` or `generate`.
 *
 * [Models and generation](#models-and-generation) · [Draft trees](#draft-trees) · [Tokens](#tokens) ·
 * [Conversations](#conversations) · [Checkpoints](#checkpoints) · [Inspecting programs](#inspecting-programs) ·
 * [Single kernels](#single-kernels) · [The machine](#the-machine) · [Errors](#errors)
 *
 * @packageDocumentation
 */
export type { FinishReason, GenerationStats, TraceStep } from "./api/generation-stats.ts";
export { type LoadOptions, loadModel } from "./api/load-model.ts";
export { type GenerateChunk, type GenerateResult, Model } from "./api/model.ts";
export { RankMeter, type RankMeterOptions } from "./api/rank-meter.ts";
export type { Precision } from "./api/open-device.ts";
export type { GenerateOptions, GenerateRequest, PromptInput } from "./api/request.ts";
export { type SyntheticOptions, syntheticModel } from "./api/synthetic-model.ts";
export type { RecordedGeneration, RecordedStep } from "./inspection/recorded-generation.ts";
export type { RankRecord } from "./speculation/rank-record.ts";
export { parseTreeJson } from "./speculation/tree-json.ts";
export type { TreePath, TreeTopology } from "./speculation/tree.ts";
export { CHAT_COMMANDS, type ChatCommand, parseCommand } from "./text/chat-command.ts";
export { Conversation } from "./text/conversation.ts";
export { loadConversation, saveConversation } from "./text/conversation-file.ts";
export { type AssembledInput, InputAssembler } from "./text/input-assembler.ts";
export type { Message } from "./text/message.ts";
export { openTokenizer } from "./api/open-tokenizer.ts";
export type { DecodeOptions, TextStream } from "./text/token-text.ts";
export type { EncodeOptions, Tokenizer } from "./text/tokenizer.ts";
export { HydrantError } from "./util/errors.ts";
export { convertCheckpoint, type ConvertedFile, type ConvertOptions } from "./weights/convert.ts";
export type { HubProgress } from "./weights/hub.ts";
export {
  type DoctorCheck,
  type DoctorReport,
  diagnose,
} from "./api/doctor.ts";
export {
  type InspectOptions,
  type InspectStage,
  inspect,
  inspectStages,
} from "./api/inspect/inspect.ts";
export { type InspectProgramOptions, inspectProgram } from "./api/inspect/inspect-program.ts";
export type {
  DiffSubject,
  HeaderDiff,
  InspectionDiff,
  KernelDiff,
  LoneKernel,
} from "./api/inspect/diff.ts";
export type { FigureDiff, FigureUnit } from "./api/inspect/diff-figures.ts";
export type { HeaderChanges } from "./api/inspect/diff-texts.ts";
export { type DiffOther, diffPrograms } from "./api/inspect/diff-sides.ts";
export { saveInspection } from "./api/inspect/save-inspection.ts";
export { explorerPage } from "./api/inspect/page.ts";
export { type TuneOptions, type TuneResult, tune } from "./api/tune/tune.ts";
export type {
  TunedCandidate,
  TunedKernel,
  TuningFile,
  TuningState,
} from "./api/tune/tuning-file.ts";
export type { TuningIdentity } from "./api/tune/identity.ts";
export type { Inspection, PageData } from "./inspection/inspection.ts";
export {
  type BufferInit,
  type KernelDType,
  type KernelRunArg,
  parseKernelArg,
} from "./api/kernel-arg.ts";
export { type KernelRunOptions, type KernelRunResult, runKernel } from "./api/kernel-run.ts";
export {
  type ComparedKernel,
  type CompareKernelOptions,
  compareKernel,
  type KernelComparison,
} from "./api/workbench/compare-kernel.ts";
export type { BufferComparison } from "./api/workbench/compare-buffers.ts";
export type { LaunchShape } from "./api/workbench/kernel-image.ts";
export type { LaunchTimes, TimeComparison } from "./api/workbench/measure-launches.ts";

import type { RandomAccessFile } from "./random-access-file.ts";

/** Where a strided tensor lies; offset and strides in elements of the storage. */
export interface StridedLayout {
  /** File position of the storage's first byte. */
  readonly storagePosition: number;
  readonly elementSize: number;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

interface Axis {
  readonly extent: number;
  /** Step in the storage. */
  readonly stride: number;
  /** Step in the contiguous result. */
  readonly outStride: number;
}

/** A half-open range of element indices. */
interface Span {
  from: number;
  to: number;
}

/** Part of the storage held in memory at a time, in bytes. */
const windowBytes = 16 * 1024 * 1024;

/** Whether the elements lie in the storage in row-major order without gaps. */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis] ?? 1;
    if (extent === 0) return true;
    if (extent !== 1 && strides[axis] !== expected) return false;
    expected *= extent;
  }
  return true;
}

/**
 * Fills `into` with the elements from index `first` on of the tensor in row-major order. A
 * contiguous tensor is read in place; any other by passing a window over the part of the storage
 * that is needed and picking its elements out, so memory stays bounded whatever the strides.
 */
export async function readStrided(
  file: RandomAccessFile,
  layout: StridedLayout,
  into: Uint8Array,
  first: number,
): Promise<void> {
  const { storagePosition, elementSize, offset, shape, strides } = layout;
  if (isContiguous(shape, strides)) {
    await file.read(into, storagePosition + (offset + first) * elementSize);
    return;
  }
  const axes = axesByStride(shape, strides);
  const wanted: Span = { from: first, to: first + into.length / elementSize };
  const needed = reach(axes, offset, wanted);
  const windowElements = Math.floor(windowBytes / elementSize);
  const buffer = new Uint8Array(
    Math.min(windowElements, Math.max(0, needed.to - needed.from)) * elementSize,
  );
  for (let from = needed.from; from < needed.to; from += windowElements) {
    const window: Span = { from, to: Math.min(from + windowElements, needed.to) };
    const bytes = buffer.subarray(0, (window.to - window.from) * elementSize);
    await file.read(bytes, storagePosition + window.from * elementSize);
    visitRuns(axes, 0, offset, 0, window, wanted, (axis, index, out, count) => {
      const source = { at: index - window.from, step: axis.stride };
      const target = { at: out - wanted.from, step: axis.outStride };
      copyRun(bytes, source, into, target, count, elementSize);
    });
  }
}

/** Longest storage step first, so that whole sub-tensors fall outside a window at once. */
function axesByStride(shape: readonly number[], strides: readonly number[]): Axis[] {
  const axes: Axis[] = [];
  let outStride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis] ?? 1;
    if (extent !== 1) axes.push({ extent, stride: strides[axis] ?? 0, outStride });
    outStride *= extent;
  }
  return axes.sort((a, b) => b.stride - a.stride);
}

/** Storage indices that the wanted part of the result touches. */
function reach(axes: readonly Axis[], offset: number, wanted: Span): Span {
  const everything: Span = { from: 0, to: Number.MAX_SAFE_INTEGER };
  const touched: Span = { from: Number.MAX_SAFE_INTEGER, to: 0 };
  visitRuns(axes, 0, offset, 0, everything, wanted, (axis, index, _out, count) => {
    touched.from = Math.min(touched.from, index);
    touched.to = Math.max(touched.to, index + (count - 1) * axis.stride + 1);
  });
  return touched;
}

type RunVisitor = (axis: Axis, index: number, out: number, count: number) => void;

/** Calls `visit` for every run along the last axis with elements in both spans. */
function visitRuns(
  axes: readonly Axis[],
  level: number,
  index: number,
  out: number,
  window: Span,
  wanted: Span,
  visit: RunVisitor,
): void {
  const axis = axes[level];
  if (axis === undefined) return;
  const inner = axes.slice(level + 1);
  const innerReach = inner.reduce((sum, { extent, stride }) => sum + (extent - 1) * stride, 0);
  const innerOut = inner.reduce((sum, { extent, outStride }) => sum + (extent - 1) * outStride, 0);
  const steps: Span = { from: 0, to: axis.extent };
  clamp(steps, index, axis.stride, innerReach, window);
  clamp(steps, out, axis.outStride, innerOut, wanted);
  if (level === axes.length - 1) {
    const count = steps.to - steps.from;
    if (count > 0)
      visit(axis, index + steps.from * axis.stride, out + steps.from * axis.outStride, count);
    return;
  }
  for (let i = steps.from; i < steps.to; i++) {
    visitRuns(
      axes,
      level + 1,
      index + i * axis.stride,
      out + i * axis.outStride,
      window,
      wanted,
      visit,
    );
  }
}

/** Keeps the steps i whose range base + i * stride .. + reach meets the span. */
function clamp(steps: Span, base: number, stride: number, innerReach: number, span: Span): void {
  if (stride === 0) {
    if (base >= span.to || base + innerReach < span.from) steps.to = steps.from;
    return;
  }
  steps.from = Math.max(steps.from, Math.ceil((span.from - innerReach - base) / stride));
  steps.to = Math.min(steps.to, Math.floor((span.to - 1 - base) / stride) + 1);
}

interface Walk {
  readonly at: number;
  readonly step: number;
}

function copyRun(
  from: Uint8Array,
  source: Walk,
  into: Uint8Array,
  target: Walk,
  count: number,
  elementSize: number,
): void {
  if (source.step === 1 && target.step === 1) {
    const start = source.at * elementSize;
    into.set(from.subarray(start, start + count * elementSize), target.at * elementSize);
    return;
  }
  for (let i = 0; i < count; i++) {
    const read = (source.at + i * source.step) * elementSize;
    const write = (target.at + i * target.step) * elementSize;
    for (let byte = 0; byte < elementSize; byte++) into[write + byte] = from[read + byte] ?? 0;
  }
}

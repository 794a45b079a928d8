/** Streams, events and capture: who comes after whom. */
import { cudaError } from "../../driver/check.ts";
import type { EmulatedDevice } from "./device.ts";
import type { GraphData, NodeData, NodeWork } from "./graph.ts";
import type { FunctionData } from "./loaded-module.ts";
import { type Work, WorkQueue } from "./work-queue.ts";
import type { Handles } from "./handles.ts";

/** A capture in progress; streams join it by waiting for one of its events. */
interface Capture {
  readonly graph: GraphData;
  readonly origin: StreamData;
  readonly streams: Set<StreamData>;
}

export interface StreamData {
  readonly handle: number;
  last: Work | undefined;
  capture: Capture | undefined;
  /** While capturing: the nodes the next one depends on. */
  tips: readonly NodeData[];
}

export interface EventData {
  readonly handle: number;
  readonly timing: boolean;
  recorded: Work | undefined;
  /** Recorded in a capture: the nodes it stands for. */
  captured: { readonly capture: Capture; readonly tips: readonly NodeData[] } | undefined;
  /** Milliseconds of the host's clock when the event was passed. */
  time: number;
}

export class Streams {
  readonly queue = new WorkQueue();
  readonly nullStream: StreamData = { handle: 0, last: undefined, capture: undefined, tips: [] };
  readonly #device: EmulatedDevice;
  readonly #handles: Handles;

  constructor(device: EmulatedDevice, handles: Handles) {
    this.#device = device;
    this.#handles = handles;
  }

  get(handle: number, call: string): StreamData {
    return handle === 0 ? this.nullStream : this.#handles.get<StreamData>("stream", handle, call);
  }

  all(): readonly StreamData[] {
    return [this.nullStream, ...this.#handles.all<StreamData>("stream")];
  }

  /** Queues what a node does, or records it when the stream is captured. */
  submit(stream: StreamData, work: NodeWork): void {
    if (stream.capture !== undefined) {
      stream.tips = [this.addNode(stream.capture.graph, stream.tips, work)];
      return;
    }
    const queued = this.enqueue(stream, labelOf(work, this.#handles), (one) =>
      this.perform(work, one),
    );
    queued.overlaps = isProgrammatic(work);
  }

  addNode(graph: GraphData, dependencies: readonly NodeData[], work: NodeWork): NodeData {
    const node = this.#handles.add("graph node", (handle) => ({ handle, work, dependencies }));
    graph.nodes.push(node);
    return node;
  }

  enqueue(stream: StreamData, label: string, run: (work: Work) => void): Work {
    const work = this.queue.add(label, stream.last === undefined ? [] : [stream.last], run);
    stream.last = work;
    return work;
  }

  /** Does the work of one node now; conditional nodes are the graphs' business. */
  perform(node: NodeWork, work: Work): void {
    switch (node.kind) {
      case "kernel": {
        const fn = this.#handles.get<FunctionData>("function", node.launch.function, "launch");
        this.#device.execute(fn, node.launch, work, {
          unordered: this.queue.unordered(work),
          overlapped: this.queue.overlapped(work),
        });
        return;
      }
      case "other":
        this.#device.checkAlive();
        this.#device.sanitizer?.copyBegins(work, this.queue.unordered(work));
        node.run();
        return;
      case "conditional":
        throw new Error("conditional nodes live in graphs only");
      default:
        node satisfies never;
    }
  }

  /** Something the host does itself, at once, in the order of the default stream. */
  now(label: string, run: () => void): void {
    this.#notCapturing(this.nullStream, label);
    const work = this.enqueue(this.nullStream, label, (one) => {
      this.perform({ kind: "other", label, run }, one);
    });
    this.queue.settle(work);
  }

  #notCapturing(stream: StreamData, call: string): void {
    if (stream.capture !== undefined) {
      throw cudaError("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", call);
    }
  }

  synchronize(stream: StreamData, call: string): void {
    this.#notCapturing(stream, call);
    this.#device.checkAlive();
    if (stream.last !== undefined) this.queue.settle(stream.last);
  }

  synchronizeAll(): void {
    this.#device.checkAlive();
    for (const stream of this.all()) if (stream.last !== undefined) this.queue.settle(stream.last);
  }

  /** Is it done? Asking lets it be done for the next time, so that polling comes to an end. */
  poll(work: Work | undefined): boolean {
    this.#device.checkAlive();
    if (work === undefined) return true;
    const isDone = work.done;
    this.queue.execute(work);
    if (isDone) this.queue.settle(work);
    return isDone;
  }

  record(event: EventData, stream: StreamData): void {
    if (stream.capture !== undefined) {
      event.captured = { capture: stream.capture, tips: stream.tips };
      event.recorded = undefined;
      return;
    }
    event.captured = undefined;
    event.recorded = this.enqueue(stream, "event", () => {
      event.time = performance.now();
    });
  }

  wait(stream: StreamData, event: EventData): void {
    const { captured } = event;
    if (captured !== undefined) {
      if (stream.capture !== undefined && stream.capture !== captured.capture) {
        throw cudaError("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "cuStreamWaitEvent");
      }
      stream.capture = captured.capture;
      captured.capture.streams.add(stream);
      stream.tips = [...new Set([...stream.tips, ...captured.tips])];
      return;
    }
    const { recorded } = event;
    if (recorded === undefined) return;
    const before = stream.last === undefined ? [recorded] : [stream.last, recorded];
    stream.last = this.queue.add("wait for event", before, () => {});
  }

  beginCapture(stream: StreamData, graph: GraphData, tips: readonly NodeData[]): void {
    if (stream === this.nullStream || stream.capture !== undefined) {
      throw cudaError("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "cuStreamBeginCapture");
    }
    stream.capture = { graph, origin: stream, streams: new Set([stream]) };
    stream.tips = tips;
  }

  endCapture(stream: StreamData): GraphData {
    const { capture } = stream;
    if (capture === undefined || capture.origin !== stream) {
      throw cudaError("CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "cuStreamEndCapture");
    }
    const joined = new Set(stream.tips);
    for (const node of joined) for (const earlier of node.dependencies) joined.add(earlier);
    let isJoined = true;
    for (const other of capture.streams) {
      if (other.tips.some((tip) => !joined.has(tip))) isJoined = false;
      other.capture = undefined;
      other.tips = [];
    }
    if (!isJoined) throw cudaError("CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "cuStreamEndCapture");
    return capture.graph;
  }
}

export function isProgrammatic(work: NodeWork): boolean {
  return work.kind === "kernel" && work.launch.programmatic === true;
}

export function labelOf(work: NodeWork, handles: Handles): string {
  switch (work.kind) {
    case "kernel":
      return `kernel ${handles.get<FunctionData>("function", work.launch.function, "launch").entry.name}`;
    case "other":
      return work.label;
    case "conditional":
      return "conditional node";
    default:
      return work satisfies never;
  }
}

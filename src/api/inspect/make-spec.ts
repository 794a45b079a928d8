import { Buffer as Bytes } from "node:buffer";
import type { Graph } from "../../ir/graph.ts";
import {
  type Buffer,
  type BufferId,
  type KernelArgument,
  type KernelSource,
  type Launch,
  type Program,
  ringSlots,
} from "../../ir/program.ts";
import { invariant } from "../../util/errors.ts";
import {
  type ArgumentSpec,
  type BufferSpec,
  type KernelSpec,
  kernelSpecFormat,
  type LaunchSpec,
} from "./kernel-spec.ts";

/**
 * What launching a kernel of a program by itself takes.
 * @param graph the one the program was made of, for the extents of weights and states.
 */
export function makeKernelSpec(
  program: Program,
  graph: Graph,
  kernel: KernelSource,
  target: { readonly arch: string; readonly compileOptions: readonly string[] },
): KernelSpec {
  const shapes = new Map(
    graph.sources.map(({ name, value }) => [name, graph.types[value]?.shape.map(Number)]),
  );
  const describe = (id: BufferId): BufferSpec => {
    const buffer = program.buffers[id];
    invariant(buffer !== undefined, `buffer ${id} exists`);
    return describeBuffer(id, buffer, shapes);
  };
  const cluster = clusterOf(kernel.source);
  return {
    format: kernelSpecFormat,
    entry: kernel.entry,
    family: kernel.family,
    arch: target.arch,
    compileOptions: target.compileOptions,
    threads: kernel.threads,
    dynamicSharedBytes: kernel.sharedBytes,
    ...(cluster === undefined ? {} : { cluster }),
    dims: program.dims,
    ring: { slots: ringSlots(program.ring.slotBytes), slotBytes: program.ring.slotBytes },
    launches: distinctLaunches(program, kernel.entry, describe),
  };
}

function distinctLaunches(
  program: Program,
  entry: string,
  describe: (id: BufferId) => BufferSpec,
): LaunchSpec[] {
  const found = new Map<string, LaunchSpec>();
  for (const [index, launch] of program.launches.entries()) {
    if (launch.kernel !== entry) continue;
    const args = launch.args.map((arg) => describeArgument(arg, describe));
    const key = JSON.stringify([launch.grid, args.map(kindOfArgument)]);
    const known = found.get(key);
    found.set(
      key,
      known === undefined
        ? describeLaunch(launch, index, args)
        : { ...known, count: known.count + 1 },
    );
  }
  return [...found.values()];
}

function describeLaunch(launch: Launch, index: number, args: readonly ArgumentSpec[]): LaunchSpec {
  const { label, grid, traffic } = launch;
  return { label, index, count: 1, grid, ...traffic, args };
}

/** What launches have to have in common to be told once. */
function kindOfArgument(arg: ArgumentSpec): unknown {
  switch (arg.type) {
    case "buffer":
      return [arg.buffer.kind, arg.buffer.dtype, arg.buffer.elements];
    case "table":
      return arg.buffers.map(({ kind, dtype, elements }) => [kind, dtype, elements]);
    case "tensor-map":
      return [arg.buffer.kind, arg.buffer.dtype, arg.buffer.elements, arg.map];
    case "i32":
    case "f32":
      return arg.value;
    case "ring":
      return arg.type;
    default:
      return arg satisfies never;
  }
}

function describeArgument(
  arg: KernelArgument,
  describe: (id: BufferId) => BufferSpec,
): ArgumentSpec {
  const { name } = arg;
  switch (arg.type) {
    case "buffer":
      return { name, type: "buffer", access: arg.access, buffer: describe(arg.buffer) };
    case "table":
      return { name, type: "table", access: arg.access, buffers: arg.buffers.map(describe) };
    case "tensor-map": {
      const { access, map } = arg;
      return { name, type: "tensor-map", access, buffer: describe(arg.buffer), map };
    }
    case "i32":
    case "f32":
      return { name, type: arg.type, value: arg.value };
    case "ring":
      return { name, type: "ring" };
    default:
      return arg satisfies never;
  }
}

function describeBuffer(
  id: BufferId,
  { dtype, elements, bytes, storage, label }: Buffer,
  shapes: ReadonlyMap<string, readonly number[] | undefined>,
): BufferSpec {
  const name = "name" in storage ? storage.name : undefined;
  const shape = name === undefined ? undefined : shapes.get(name);
  return {
    id,
    kind: storage.kind,
    ...(name === undefined ? {} : { name }),
    label,
    dtype,
    ...(shape === undefined ? {} : { shape }),
    elements,
    bytes,
    ...(storage.kind === "constant" ? { data: Bytes.from(storage.data).toString("base64") } : {}),
  };
}

/** The attribute in the kernel's text is what asks for clusters. */
export function clusterOf(source: string): readonly [number, number, number] | undefined {
  const found = /__cluster_dims__\((\d+), (\d+), (\d+)\)/.exec(source);
  if (found === null) return undefined;
  return [Number(found[1]), Number(found[2]), Number(found[3])];
}

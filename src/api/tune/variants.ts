import { compileStages } from "../../../codegen/compile.ts";
import type { Graph } from "../../ir/graph.ts";
import type { KernelSource, Target } from "../../ir/program.ts";
import type { DimBindings } from "../../ir/shape.ts";
import { invariant } from "../../util/errors.ts";
import type { ArgumentSpec, BufferSpec, KernelSpec, LaunchSpec } from "../inspect/kernel-spec.ts";
import { makeKernelSpec } from "../inspect/make-spec.ts";

/** A graph as it is compiled. */
export interface BoundGraph {
  readonly graph: Graph;
  readonly dims: DimBindings;
}

/** A kernel with several configurations, each as one launch. */
export interface TunableKernel {
  readonly key: string;
  readonly label: string;
  /** Of the graphs. */
  readonly launches: number;
  /** The usual configuration first. */
  readonly variants: readonly Variant[];
}

export interface Variant {
  /** Of the configuration. */
  readonly name: string;
  readonly kernel: KernelSource;
  readonly spec: KernelSpec;
  readonly launch: LaunchSpec;
}

/**
 * Every kernel of the graphs that can be configured in several ways, once. Graphs are compiled as
 * often as there are candidates, each time with the next one of every kernel; nothing but their
 * kernels differs.
 * @param kernel only those whose key or name contains this.
 */
export function tunableKernels(
  graphs: readonly BoundGraph[],
  target: Target,
  kernel = "",
): readonly TunableKernel[] {
  const found = new Map<string, TunableKernel>();
  for (const bound of graphs) {
    const usual = compileVariant(bound, target, {});
    const places = new Map<string, { readonly index: number; count: number }>();
    for (const [index, { tunable, kernel: entry }] of usual.launches.entries()) {
      if (tunable === undefined) continue;
      if (!tunable.key.includes(kernel) && !entry.includes(kernel)) continue;
      const known = places.get(tunable.key);
      if (known === undefined) places.set(tunable.key, { index, count: 1 });
      else known.count++;
    }
    const fresh = new Map<string, { readonly index: number; readonly names: readonly string[] }>();
    for (const [key, { index, count }] of places) {
      const known = found.get(key);
      if (known !== undefined) {
        found.set(key, { ...known, launches: known.launches + count });
        continue;
      }
      const { tunable, label = "" } = usual.launches[index] ?? {};
      fresh.set(key, { index, names: tunable?.candidates ?? [] });
      found.set(key, { key, label, launches: count, variants: [] });
    }
    const most = Math.max(0, ...[...fresh.values()].map(({ names }) => names.length));
    for (let round = 0; round < most; round++) {
      const chosen = [...fresh].flatMap(([key, { names }]): [string, string][] => {
        const name = names[round];
        return name === undefined ? [] : [[key, name]];
      });
      const compiled = compileVariant(bound, target, Object.fromEntries(chosen));
      for (const [key, name] of chosen) {
        const known = found.get(key);
        const index = fresh.get(key)?.index;
        invariant(known !== undefined && index !== undefined, "chosen kernels are there");
        found.set(key, { ...known, variants: [...known.variants, compiled.variant(name, index)] });
      }
    }
  }
  return [...found.values()];
}

function compileVariant(
  { graph, dims }: BoundGraph,
  target: Target,
  choices: Readonly<Record<string, string>>,
) {
  const { program, fused } = compileStages(graph, dims, { ...target, tuning: { choices } });
  return {
    launches: program.launches,
    variant(name: string, index: number): Variant {
      const entry = program.launches[index]?.kernel;
      const kernel = program.kernels.find((one) => one.entry === entry);
      invariant(kernel !== undefined, "a launch has its kernel");
      const spec = makeKernelSpec(program, fused.graph, kernel, {
        arch: target.arch,
        compileOptions: [],
      });
      // Launches that differ in nothing but buffers are told once, as the first of them.
      const launch = spec.launches.filter((one) => one.index <= index).at(-1);
      invariant(launch !== undefined, "a kernel has a launch");
      return { name, kernel, spec, launch };
    },
  };
}

/** Launches that share what memory they have in common. */
export interface SharedLaunches {
  /** As given, their buffers numbered anew. */
  readonly launches: readonly LaunchSpec[];
  /** One with the arguments of all. */
  readonly union: LaunchSpec;
}

/** Buffers of several launches are one where they are the same weight, state or value. */
export function shareBuffers(launches: readonly LaunchSpec[]): SharedLaunches {
  const numbers = new Map<string, number>();
  const renumbered = launches.map((launch): LaunchSpec => {
    const own = new Map<number, number>();
    const seen = new Map<string, number>();
    const number = (buffer: BufferSpec): BufferSpec => {
      const { id, kind, name, label, bytes } = buffer;
      const what = JSON.stringify([kind, name ?? label, bytes]);
      let known = own.get(id);
      if (known === undefined) {
        // Two buffers of one launch are two, whatever they are called.
        const nth = seen.get(what) ?? 0;
        seen.set(what, nth + 1);
        const key = `${what} ${nth}`;
        known = numbers.get(key) ?? numbers.size;
        numbers.set(key, known);
        own.set(id, known);
      }
      return { ...buffer, id: known };
    };
    return { ...launch, args: launch.args.map((arg) => withBuffers(arg, number)) };
  });
  const [first] = renumbered;
  invariant(first !== undefined, "there is a launch");
  return {
    launches: renumbered,
    union: { ...first, args: renumbered.flatMap(({ args }) => args) },
  };
}

function withBuffers(arg: ArgumentSpec, number: (buffer: BufferSpec) => BufferSpec): ArgumentSpec {
  switch (arg.type) {
    case "buffer":
    case "tensor-map":
      return { ...arg, buffer: number(arg.buffer) };
    case "table":
      return { ...arg, buffers: arg.buffers.map(number) };
    case "i32":
    case "f32":
    case "ring":
      return arg;
    default:
      return arg satisfies never;
  }
}

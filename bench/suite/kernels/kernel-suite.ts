import type { LoadedWeights } from "../../../runtime/executor.ts";
import type { BaseModel } from "../../../src/models/llama.ts";
import { namedShape } from "../../../src/models/named-shapes.ts";
import { syntheticWeights } from "../../../src/weights/synthetic.ts";
import { withFindings } from "../findings.ts";
import type { DeviceKind, SuiteDevice } from "../devices.ts";
import {
  type EntryDone,
  type EntryKey,
  type Job,
  keyOf,
  type Settings,
  unchecked,
} from "../job.ts";
import { CaseCheck } from "./case-check.ts";
import { buildCase, type CaseGraph, coldBytes, writeContents } from "./case-graph.ts";
import { kernelCases } from "./cases.ts";
import type { KernelCase } from "./kernel-case.ts";
import { copiesFor, measureCase, workOf } from "./measure-case.ts";
import type { Extent } from "./site.ts";

/** Where a device measures kernels, unless it is told. */
interface Usual {
  readonly shapes: readonly string[];
  readonly rows: readonly number[];
  readonly contexts: readonly number[];
  /** Rows of a part of a prompt. */
  readonly prompt?: number;
}

const usual: Readonly<Record<DeviceKind, Usual>> = {
  cpu: {
    shapes: ["demo", "vicuna-7b"],
    rows: [1, 8, 64],
    contexts: [64, 512],
    prompt: 128,
  },
  emulator: { shapes: ["demo"], rows: [1, 8, 64], contexts: [64] },
  cuda: { shapes: ["vicuna-7b"], rows: [1, 8, 16, 32, 64], contexts: [512, 2048], prompt: 512 },
};
const quick: Partial<Record<DeviceKind, Partial<Usual>>> = {
  cpu: { shapes: ["demo"] },
};
/** Committed tokens where a case does not depend on them. */
const anyContext = 64;

/** One case on one shape, at all rows and contexts: they share their weights. */
export function kernelJobs(name: string, kind: DeviceKind, settings: Settings): readonly Job[] {
  const base = { ...usual[kind], ...(settings.isQuick ? quick[kind] : {}) };
  const { shapes = base.shapes, rows = base.rows, contexts = base.contexts } = settings;
  // Who asks for rows gets those and no others.
  const prompt = settings.rows === undefined ? base.prompt : undefined;
  return shapes.flatMap((shape) => {
    namedShape(shape);
    return kernelCases.map((kernelCase): Job => {
      const where = kernelCase.usesContext ? contexts : [anyContext];
      const points = where
        .flatMap((context) =>
          kernelCase.rowsOf(rows, prompt).map((count) => ({ rows: count, context })),
        )
        .map((point) => ({ ...point, key: keyOfPoint(kernelCase, shape, name, point) }));
      return {
        keys: points.map(({ key }) => key),
        run: (device, wanted, done) =>
          runCase(
            { kernelCase, shape, device, settings },
            points.filter(({ key }) => wanted.includes(key)),
            done,
          ),
      };
    });
  });
}

interface Point {
  readonly rows: number;
  readonly context: number;
}

function keyOfPoint(
  { family, name, usesContext }: KernelCase,
  shape: string,
  device: string,
  { rows, context }: Point,
): EntryKey {
  const where = usesContext ? `${name} at ${context}` : name;
  return keyOf("kernels", { family, name: where, shape, rows, device });
}

interface CaseRun {
  readonly kernelCase: KernelCase;
  readonly shape: string;
  readonly device: SuiteDevice;
  readonly settings: Settings;
}

async function runCase(
  run: CaseRun,
  points: readonly (Point & { readonly key: EntryKey })[],
  done: EntryDone,
): Promise<void> {
  const { kernelCase, shape, device } = run;
  const model: BaseModel = {
    config: namedShape(shape),
    storedType: () => "bf16",
    cacheType: device.cacheType("bf16"),
  };
  const check = new CaseCheck(kernelCase, model, device.target);
  let weights: { readonly copies: number; readonly loaded: LoadedWeights } | undefined;
  try {
    for (const point of points) {
      const extent = extentOf(device, point);
      const single = buildCase(kernelCase, model, extent, 1);
      // What is loaded for the first point serves the others.
      const copies =
        weights?.copies ??
        (kernelCase.once ? 1 : copiesFor(device, coldBytes(single, extent.capacity)));
      const built = copies === 1 ? single : buildCase(kernelCase, model, extent, copies);
      weights ??= { copies, loaded: await loadWeights(device, built) };
      const work = kernelCase.work?.(model, extent) ?? workOf(device, single, extent.capacity);
      done({
        ...point.key,
        ...(await runPoint(run, weights.loaded, { built, extent, work, check })),
      });
    }
  } finally {
    await weights?.loaded.dispose();
    await check.dispose();
  }
}

function extentOf(device: SuiteDevice, { rows, context }: Point): Extent {
  // A graph's attention must have slots for its rows, and the traffic of a plan counts all slots.
  return { rows, context, capacity: context + rows, isCompiled: device.kind !== "cpu" };
}

async function runPoint(
  { device, settings }: CaseRun,
  weights: LoadedWeights,
  at: {
    readonly built: CaseGraph;
    readonly extent: Extent;
    readonly work: { readonly bytes: number; readonly flops: number };
    readonly check: CaseCheck;
  },
) {
  const { built, extent, work, check } = at;
  const session = weights.session({ capacity: extent.capacity });
  try {
    const executable = session.compile(built.graph);
    writeContents(session, built);
    // The first run is the one that is checked: what follows may change what it reads.
    const outputs = await executable.run({});
    const checked = settings.checks ? await check.check(extent, outputs) : unchecked;
    const measured = await measureCase(device, executable, built, work, settings.rounds);
    return { ...measured, check: withFindings(device, checked) };
  } finally {
    session.dispose();
  }
}

function loadWeights(device: SuiteDevice, { graph }: CaseGraph): Promise<LoadedWeights> {
  const source = syntheticWeights([graph]);
  switch (device.kind) {
    case "cpu":
      return device.kernels.load(source);
    case "emulator": {
      // Made here: the emulator would take long to fill them.
      const { parameters, read } = source;
      return device.executor.load({ parameters, read });
    }
    case "cuda":
      return device.executor.load(source);
    default:
      return device satisfies never;
  }
}

import { describeSynthetic } from "../../../src/api/synthetic-model.ts";
import type { DeviceKind, SuiteDevice } from "../devices.ts";
import { type EntryDone, type EntryKey, type Job, keyOf, type Settings } from "../job.ts";
import { type StepModel, withStepModel } from "./step-model.ts";
import { measurePrompt, measureStep } from "./measure-step.ts";

/** Plain decoding, then the heads that are published for the shapes. */
const methods = ["plain", "medusa", "hydra", "hydra++"] as const;
type Method = (typeof methods)[number];

/** Where a device measures steps, unless it is told. */
interface Usual {
  readonly shapes: readonly string[];
  readonly rows: readonly number[];
  readonly contexts: readonly number[];
  /** Tokens of a prompt, and how many of them go through at once. */
  readonly prompt: { readonly tokens: number; readonly rows: number };
}

const allRows = [1, 8, 16, 32, 64];
const usual: Readonly<Record<DeviceKind, Usual>> = {
  cpu: {
    shapes: ["demo"],
    rows: allRows,
    contexts: [64, 512],
    prompt: { tokens: 512, rows: 128 },
  },
  emulator: {
    shapes: ["demo"],
    rows: [1, 16],
    contexts: [16],
    prompt: { tokens: 16, rows: 16 },
  },
  cuda: {
    shapes: ["vicuna-7b"],
    rows: allRows,
    contexts: [512, 2048],
    prompt: { tokens: 2048, rows: 512 },
  },
};
const quick: Partial<Record<DeviceKind, Partial<Usual>>> = {
  cpu: { rows: [1, 16, 64], contexts: [128], prompt: { tokens: 128, rows: 128 } },
};

/** One method on one shape: its trees, its contexts and its prompt share the weights. */
export function stepJobs(name: string, kind: DeviceKind, settings: Settings): readonly Job[] {
  const base = { ...usual[kind], ...(settings.isQuick ? quick[kind] : {}) };
  const { shapes = base.shapes, contexts = base.contexts } = settings;
  const rows = (settings.rows ?? base.rows).filter((count) => count <= 64);
  const { prompt } = base;
  return shapes.flatMap((shape) =>
    methods.map((method): Job => {
      // Before the device is opened, so that a mistyped shape is told at once.
      describeSynthetic(shape, undefined, (weights) => weights);
      const points: readonly Point[] = [
        ...contexts.flatMap((context) =>
          (method === "plain" ? rows.filter((count) => count === 1) : rows).map(
            (count): Point => ({
              kind: "step",
              context,
              key: keyOf("steps", {
                family: method,
                name: `step at ${context}`,
                shape,
                rows: count,
                device: name,
              }),
            }),
          ),
        ),
        {
          kind: "prompt",
          context: prompt.tokens,
          key: keyOf("steps", {
            family: method,
            name: `prompt of ${prompt.tokens}`,
            shape,
            rows: prompt.rows,
            device: name,
          }),
        },
      ];
      return {
        keys: points.map(({ key }) => key),
        run: (device, wanted, done) =>
          runMethod(
            { method, shape, device, settings, promptRows: prompt.rows },
            points.filter(({ key }) => wanted.includes(key)),
            done,
          ),
      };
    }),
  );
}

interface Point {
  readonly kind: "step" | "prompt";
  /** Tokens before the step, or of the prompt. */
  readonly context: number;
  readonly key: EntryKey;
}

interface MethodRun {
  readonly method: Method;
  readonly shape: string;
  readonly device: SuiteDevice;
  readonly settings: Settings;
  readonly promptRows: number;
}

async function runMethod(
  { method, shape, device, settings, promptRows }: MethodRun,
  points: readonly Point[],
  done: EntryDone,
): Promise<void> {
  const heads = method === "plain" ? undefined : method;
  const longest = Math.max(...points.map(({ context }) => context));
  const setup = { shape, heads, device, longest, promptRows, checks: settings.checks };
  await withStepModel(setup, async (model: StepModel) => {
    for (const { kind, key, context } of points) {
      const measured =
        kind === "step"
          ? await measureStep(model, key.rows, context, settings.rounds)
          : await measurePrompt(model, context, settings.rounds);
      done({ ...key, ...measured });
    }
  });
}

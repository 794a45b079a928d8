import { expect, test } from "vitest";
import { lower } from "../../../runtime/cpu/lower/lower.ts";
import type { Step } from "../../../runtime/cpu/lower/step.ts";
import { schedule } from "../../../runtime/cpu/schedule.ts";
import { planWorkspace } from "../../../runtime/cpu/workspace.ts";
import { noDrafter } from "../../../src/drafters/none.ts";
import { elementCount } from "../../../src/ir/shape.ts";
import { buildPrefill, buildStep } from "../../../src/models/decode-graphs.ts";
import { namedTree } from "../../../src/speculation/named-trees.ts";
import { rootOnly } from "../../../src/speculation/tree.ts";
import { Random } from "../../helpers/random.ts";
import { drafterKinds, drafterOf, randomModel } from "../../helpers/random-model.ts";

const random = new Random(3);
const model = randomModel(random);
const graphs = [
  buildPrefill(model, noDrafter()),
  buildStep(model, noDrafter(), rootOnly),
  ...drafterKinds.map((kind) => {
    const drafter = drafterOf(kind, model);
    return buildStep(model, drafter, namedTree(`chain-${Math.min(3, drafter.maxDepth)}`));
  }),
];
const dims = { rows: 5, capacity: 64 };

test("a plain step of a layer takes four phases: attention, output, gate and up, down", () => {
  const { layers } = model.config;
  const deep = { ...model, config: { ...model.config, layers: layers + 3, kvHeads: 2, heads: 4 } };
  const flat = { ...deep, config: { ...deep.config, layers } };
  const phases = (of: typeof model) =>
    schedule(lower(buildStep(of, noDrafter(), rootOnly)), 2).length;
  expect(phases(deep) - phases(flat)).toBe(3 * 4);
});

test("norms and residuals of the layers are part of the products", () => {
  const { steps } = lower(buildStep(model, noDrafter(), rootOnly));
  const names = steps.map((step) => (step.kind === "kernel" ? step.kernel : step.kind));
  expect(names).not.toContain("rms_norm");
  expect(names).not.toContain("add");
  expect(names.filter((name) => name === "silu_mul")).toHaveLength(model.config.layers);
  expect(names.filter((name) => name === "rope_table")).toHaveLength(1);
});

test.each([1, 2, 3, 4])("no step comes before what it reads, with %i threads", (threads) => {
  for (const graph of graphs) {
    const lowered = lower(graph);
    const phases = schedule(lowered, threads);
    const phaseOf = new Map<Step, number>();
    for (const [phase, steps] of phases.entries())
      for (const step of steps) phaseOf.set(step, phase);
    expect(phaseOf.size).toBe(lowered.steps.length);
    for (const [index, step] of lowered.steps.entries()) {
      const at = phaseOf.get(step) ?? -1;
      for (const earlier of lowered.steps.slice(0, index)) {
        const before = phaseOf.get(earlier) ?? -1;
        const makes = earlier.writes.some((storage) => step.reads.includes(storage));
        const isPiece = earlier.writes.some((storage) => step.writes.includes(storage)) && !makes;
        const overwrites = earlier.reads.some((storage) => step.writes.includes(storage));
        if (makes || (overwrites && !isPiece)) {
          expect(before).toBeLessThanOrEqual(at);
          // In one phase only where threads keep to their own columns, in the order of the steps.
          if (before === at) {
            const steps = phases[at] ?? [];
            expect(steps.indexOf(earlier)).toBeLessThan(steps.indexOf(step));
            const owns = [earlier, step].every(
              (one) =>
                one.kind === "kernel" && (one.columns !== undefined || one.groups !== undefined),
            );
            expect(owns).toBe(true);
          }
        }
      }
    }
  }
});

test("values that are alive at the same time never share bytes of the workspace", () => {
  for (const graph of graphs) {
    const lowered = lower(graph);
    const phases = schedule(lowered, 2);
    const size = (shape: Parameters<typeof elementCount>[0]) => elementCount(shape, dims);
    const { offsets, bytes } = planWorkspace(lowered, phases, size);
    const spans = [...offsets].map(([storage, offset]) => {
      const info = lowered.storages[storage];
      const type = info?.kind === "temporary" || info?.kind === "input" ? info.type : undefined;
      const count = type === undefined ? 0 : size(type.shape);
      const used = phases.flatMap((steps, phase) =>
        steps.some((step) => [...step.reads, ...step.writes].includes(storage)) ? [phase] : [],
      );
      const isOutput = lowered.outputs.some((output) => output.storage === storage);
      return {
        offset,
        // The smallest element is two bytes: an underestimate, so the test is on the safe side.
        end: offset + 2 * count,
        from: info?.kind === "input" ? -1 : Math.min(...used),
        to: isOutput ? phases.length : Math.max(...used),
      };
    });
    for (const [index, a] of spans.entries()) {
      expect(a.end).toBeLessThanOrEqual(bytes);
      for (const b of spans.slice(0, index)) {
        const together = a.from <= b.to && b.from <= a.to;
        if (together) expect(a.end <= b.offset || b.end <= a.offset).toBe(true);
      }
    }
  }
});

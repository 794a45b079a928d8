import type { Environment } from "../decode/environment.ts";
import type { Check } from "../suite/results.ts";
import type { ResultFile } from "./result-file.ts";

export interface Condition {
  readonly name: string;
  readonly value: string;
}

/** Where, when and with what the figures of a file were measured. */
export function conditionsOf(file: ResultFile): Condition[] {
  const { environment } = file.results;
  const rows: (readonly [string, string | undefined])[] = [
    ["made by", commandOf(file)],
    ["date", environment.date.replace("T", " ")],
    ["commit", environment.commit],
    ["machine", machine(environment)],
    ["devices", devicesOf(file)],
    ["Node", environment.node],
    ["load before", environment.loadBefore.toFixed(2)],
    ...(file.kind === "gpu check"
      ? []
      : ([
          ["load after", file.results.loadAfter.toFixed(2)],
          ["checks", checksOf(file)],
          ["took", `${file.results.seconds.toFixed(0)} s`],
        ] as const)),
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
}

/** In short, for captions: `AMD EPYC, 2 cores; commit fec40e069774+, 2026-11-21`; a busy one says so. */
export function shortConditions(file: ResultFile): string {
  const { cpu, cores, commit, date, loadBefore } = file.results.environment;
  const load =
    loadBefore > cores / 2 ? `, busy with other work (load ${loadBefore.toFixed(1)})` : "";
  return `${cpu}, ${cores} cores${load}; commit ${commit}, ${date.slice(0, 10)}`;
}

function checksOf(file: ResultFile & { kind: "suite" | "decode" }): string | undefined {
  if (file.kind === "decode")
    return file.results.exact ? "every text equals plain decoding's" : "a text differs";
  const { entries } = file.results;
  const count = (status: Check["status"]) =>
    entries.filter(({ check }) => check.status === status).length;
  const parts = (["passed", "failed", "skipped"] as const).flatMap((status) =>
    count(status) === 0 ? [] : [`${count(status)} ${status}`],
  );
  return parts.length === 0 ? undefined : parts.join(", ");
}

function machine({ cpu, cores, memoryGB, system }: Environment): string {
  return `${cpu}, ${cores} cores, ${memoryGB} GB, ${system}`;
}

function commandOf(file: ResultFile): string | undefined {
  if (file.kind === "suite") return file.results.command;
  return file.kind === "decode" ? "npm run bench -- decode" : "npm run gpu:check";
}

function devicesOf(file: ResultFile): string {
  if (file.kind === "gpu check") return file.results.device;
  if (file.kind === "decode") return file.results.settings.device;
  return file.results.devices.map(({ name, details }) => `${name} (${details})`).join("; ");
}

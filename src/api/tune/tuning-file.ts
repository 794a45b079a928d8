import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Tuning } from "../../ir/program.ts";
import { cacheDirectory } from "../../util/cache-directory.ts";
import { HydrantError } from "../../util/errors.ts";
import { makeDirectory } from "../../util/make-directory.ts";
import type { TuningIdentity } from "./identity.ts";

/** A device's measurements, all of them, with what was chosen. */
export interface TuningFile {
  readonly format: typeof tuningFormat;
  readonly identity: TuningIdentity;
  /** What times are in: microseconds of a launch; the emulator counts instructions of warps. */
  readonly unit: "us" | "instructions";
  readonly kernels: readonly TunedKernel[];
}

export const tuningFormat = "hydrant-tuning-1";

/** What was measured of a kernel, and what was chosen. */
export interface TunedKernel {
  /** `Tunable.key`. */
  readonly key: string;
  /** The launch that was measured: what it computes, and in how many launches of the graphs. */
  readonly label: string;
  readonly launches: number;
  readonly chosen: string;
  readonly reason: string;
  /** The usual one first. */
  readonly candidates: readonly TunedCandidate[];
  /** ISO date and time. */
  readonly made: string;
  readonly rounds: number;
}

/** One configuration, and its times in the file's unit. */
export interface TunedCandidate {
  readonly name: string;
  readonly median?: number | undefined;
  readonly least?: number | undefined;
  readonly most?: number | undefined;
  /** Why it was not measured. */
  readonly refused?: string | undefined;
}

/** Where choices come from, or why there are none. */
export interface TuningState {
  readonly status: "used" | "none" | "ignored" | "off";
  readonly path?: string | undefined;
  readonly detail: string;
}

/** The file of a device in the cache folder; one for each name and architecture. */
export function tuningPath({ name, arch }: Pick<TuningIdentity, "name" | "arch">): string {
  const slug = `${name} ${arch}`
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  return join(cacheDirectory(), "tuning", `${slug}.json`);
}

/**
 * The choices for a device: of the file `HYDRANT_TUNING` names, or of the cache folder's; none with
 * `HYDRANT_TUNING=off`. A file that cannot be used is ignored, never an error: it is about speed.
 */
export function findTuning(
  identity: TuningIdentity,
  env: NodeJS.ProcessEnv = process.env,
): { readonly tuning?: Tuning; readonly state: TuningState } {
  const asked = env.HYDRANT_TUNING;
  if (asked === "off") return { state: { status: "off", detail: "HYDRANT_TUNING is off" } };
  const path = asked === undefined || asked === "" ? tuningPath(identity) : asked;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isAbsent(error) && path !== asked)
      return { state: { status: "none", path, detail: "nothing was measured on this device" } };
    return ignored(path, `it cannot be read: ${reasonOf(error)}`);
  }
  try {
    const file = parseTuning(text);
    const problem = mismatch(file.identity, identity);
    if (problem !== undefined) return ignored(path, problem);
    const choices = Object.fromEntries(file.kernels.map(({ key, chosen }) => [key, chosen]));
    const changed = file.kernels.filter(({ chosen, candidates }) => chosen !== candidates[0]?.name);
    const detail = `kernels measured: ${file.kernels.length}, not as usual: ${changed.length}`;
    return { tuning: { choices }, state: { status: "used", path, detail } };
  } catch (error) {
    return ignored(path, reasonOf(error));
  }
}

/** Why a file made for one identity is of no use for another; undefined where it is. */
export function mismatch(file: TuningIdentity, here: TuningIdentity): string | undefined {
  const differs = (what: string, a: string | number, b: string | number) =>
    a === b ? [] : [`${what} ${a}, not ${b}`];
  const differences = [
    ...differs("device", file.name, here.name),
    ...differs("architecture", file.arch, here.arch),
    ...differs("multiprocessors", file.multiprocessors, here.multiprocessors),
    ...differs("driver of CUDA", file.driverMajor, here.driverMajor),
    ...differs("NVRTC", file.nvrtc, here.nvrtc),
    ...(file.kernels === here.kernels ? [] : ["kernels have changed since"]),
  ];
  return differences.length === 0 ? undefined : `it was made for: ${differences.join("; ")}`;
}

/** @throws SyntaxError, or Error saying what is wrong with it. */
export function parseTuning(text: string): TuningFile {
  const root: unknown = JSON.parse(text);
  if (!isTuningFile(root)) throw new Error(`it is no ${tuningFormat} file, or damaged`);
  return root;
}

/** New measurements take the place of older ones of the same kernels of the same identity. */
export function mergeTuning(older: TuningFile | undefined, newer: TuningFile): TuningFile {
  if (older === undefined || older.unit !== newer.unit) return newer;
  if (mismatch(older.identity, newer.identity) !== undefined) return newer;
  const known = new Set(newer.kernels.map(({ key }) => key));
  return {
    ...newer,
    kernels: [...older.kernels.filter(({ key }) => !known.has(key)), ...newer.kernels],
  };
}

/** Reads a file to merge with; undefined for what is not there or of no use. */
export function readTuning(path: string): TuningFile | undefined {
  try {
    return parseTuning(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Written beside its place and renamed into it, so that readers see all of it or the old one.
 * @throws HydrantError `tune/file`
 */
export function writeTuning(path: string, file: TuningFile): void {
  const part = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.part`;
  try {
    makeDirectory(dirname(path));
    writeFileSync(part, `${JSON.stringify(file, undefined, 1)}\n`);
    renameSync(part, path);
  } catch (error) {
    // Where a parent is no folder, there is nothing of ours to take away.
    if (existsSync(part)) rmSync(part, { force: true });
    throw new HydrantError("tune/file", `The measurements cannot be stored: ${reasonOf(error)}`, {
      path,
      hint: "Name a file in a folder that may be written to (--out), or set HYDRANT_CACHE_DIR.",
      cause: error,
    });
  }
}

function ignored(path: string, detail: string): { readonly state: TuningState } {
  return { state: { status: "ignored", path, detail } };
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const isAbsent = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT";

function isTuningFile(value: unknown): value is TuningFile {
  return (
    isRecord(value) &&
    value.format === tuningFormat &&
    (value.unit === "us" || value.unit === "instructions") &&
    isIdentity(value.identity) &&
    Array.isArray(value.kernels) &&
    value.kernels.every(isTunedKernel)
  );
}

function isIdentity(value: unknown): value is TuningIdentity {
  return (
    isRecord(value) &&
    ["name", "nvrtc", "arch", "kernels"].every((name) => typeof value[name] === "string") &&
    ["driverMajor", "multiprocessors"].every((name) => Number.isInteger(value[name]))
  );
}

function isTunedKernel(value: unknown): value is TunedKernel {
  return (
    isRecord(value) &&
    ["key", "label", "chosen", "reason", "made"].every((name) => typeof value[name] === "string") &&
    ["launches", "rounds"].every((name) => Number.isInteger(value[name])) &&
    Array.isArray(value.candidates) &&
    value.candidates.every(isCandidate) &&
    value.candidates.some(({ name }) => name === value.chosen)
  );
}

function isCandidate(value: unknown): value is TunedCandidate {
  return (
    isRecord(value) &&
    typeof value.name === "string" &&
    ["median", "least", "most"].every((name) => isAbsentOr(value[name], "number")) &&
    isAbsentOr(value.refused, "string")
  );
}

const isAbsentOr = (value: unknown, type: "number" | "string"): boolean =>
  value === undefined || typeof value === type;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

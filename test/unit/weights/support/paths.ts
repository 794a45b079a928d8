import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";
import { HydrantError } from "../../../../src/util/errors.ts";

const root = new URL("../../../../", import.meta.url);
export const golden = fileURLToPath(new URL("test/fixtures/golden/", root));
export const demoModel = fileURLToPath(new URL("demo/model/", root));
/** Vectors kept outside the repository: every case in both file forms. */
export const sharedGolden = fileURLToPath(new URL("../shared/golden/", root));
export const hasSharedGolden = existsSync(sharedGolden);

/** A directory that is removed after the file's tests. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "hydrant-weights-"));
  afterAll(() => rm(path, { recursive: true, force: true }));
  return path;
}

let written = 0;
export async function writeTemporary(
  directory: string,
  bytes: Uint8Array,
  ending = ".bin",
): Promise<string> {
  const path = join(directory, `${written++}${ending}`);
  await writeFile(path, bytes);
  return path;
}

/** The HydrantError an action fails with; anything else fails the test. */
export async function failureOf(action: () => unknown): Promise<HydrantError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof HydrantError) return error;
    throw error;
  }
  return expect.fail("expected a HydrantError");
}

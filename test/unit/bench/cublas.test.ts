import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import koffi from "koffi";
import { afterAll, describe, expect, it } from "vitest";
import { Cublas } from "../../../bench/peers/cublas/cublas.ts";
import { findCublas } from "../../../bench/peers/cublas/find-cublas.ts";
import { type DevicePtr, NULL_STREAM, offsetPtr } from "../../../runtime/driver/driver.ts";
import { HydrantError } from "../../../src/util/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "hydrant-cublas-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Addresses that no driver made. */
const at = (address: number): DevicePtr => offsetPtr(NULL_ADDRESS, address);
const NULL_ADDRESS: DevicePtr = JSON.parse("0");

function buildStub(): string | undefined {
  const path = join(folder, "libcublas.so.13");
  const source = fileURLToPath(new URL("libcublas-stub.c", import.meta.url));
  const flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", path, source];
  return spawnSync("cc", flags).status === 0 ? path : undefined;
}
const path = buildStub();

describe.skipIf(path === undefined)("the binding of cuBLAS (needs a C compiler)", () => {
  const library = koffi.load(path ?? "");
  const takeLog = library.func("const char *stub_take_log()");
  const fail = library.func("void stub_fail(int status)");
  const log = () => String(takeLog()).trim().split("\n");
  const open = () => new Cublas({ path: path ?? "", ltPath: undefined });

  it("multiplies row-major x with row-major weights, transposed, in bf16 with f32 sums", () => {
    const cublas = open();
    cublas.setStream(NULL_STREAM);
    cublas.setWorkspace(at(0x5000), 2 ** 25);
    log();
    cublas.multiply(
      { rows: 8, inputs: 4096, outputs: 11008 },
      { x: at(0x1000), weights: at(0x2000), y: at(0x3000) },
    );
    expect(log()).toEqual([
      "gemm 0x7f0000001000 ops 1 0, 11008 x 8 x 4096, alpha 1, a 0x2000 type 14 ld 4096, b 0x1000 type 14 ld 4096, beta 0, c 0x3000 type 14 ld 11008, compute 68 algorithm -1",
    ]);
    cublas.close();
    expect(log()).toEqual(["destroy 0x7f0000001000"]);
  });

  it("says which version it is and hands on streams and memory", () => {
    log();
    const cublas = open();
    expect(cublas.name).toBe("cuBLAS 13.0.2");
    cublas.setStream(NULL_STREAM);
    cublas.setWorkspace(at(0x5000), 2 ** 25);
    expect(log()).toEqual([
      "create",
      "stream 0x7f0000001000 (nil)",
      "workspace 0x7f0000001000 0x5000 33554432",
    ]);
  });

  it("throws what cuBLAS answers", () => {
    const cublas = open();
    fail(15);
    expect(() =>
      cublas.multiply({ rows: 1, inputs: 8, outputs: 8 }, { x: at(8), weights: at(8), y: at(8) }),
    ).toThrow("cublasGemmEx answered status 15.");
    fail(0);
  });

  it("is found in a toolkit with the library it needs, but not when it is newer than the driver", () => {
    const lib = join(folder, "toolkit", "lib64");
    mkdirSync(lib, { recursive: true });
    for (const name of ["libcublas.so.12", "libcublasLt.so.12", "libcublas.so.13"])
      writeFileSync(join(lib, name), "");
    const env = { CUDA_HOME: join(folder, "toolkit"), PATH: "" };
    expect(findCublas(12, env)).toEqual({
      path: join(lib, "libcublas.so.12"),
      ltPath: join(lib, "libcublasLt.so.12"),
    });
    expect(findCublas(13, env).path).toBe(join(lib, "libcublas.so.13"));
  });

  it("is taken from HYDRANT_CUBLAS alone where that is set", () => {
    expect(findCublas(13, { HYDRANT_CUBLAS: path })).toEqual({ path, ltPath: undefined });
    expect(() => findCublas(13, { HYDRANT_CUBLAS: "/nowhere.so" })).toThrow(HydrantError);
  });
});

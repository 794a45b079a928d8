import { describe, expect, it } from "vitest";
import { CUDA_RESULTS, CudaError, check, cudaError } from "../../../runtime/driver/check.ts";

describe("CUresult to error", () => {
  it("passes success", () => {
    expect(() => check(0, "cuInit")).not.toThrow();
  });

  it("gives every result we tell apart one line with a remedy", () => {
    for (const [name, value] of Object.entries(CUDA_RESULTS)) {
      const error = new CudaError(value, "cuThing");
      expect(error.oneLine).toContain(name);
      expect(error.oneLine).not.toContain("\n");
      expect(error.hint?.length).toBeGreaterThan(10);
    }
  });

  it("keeps the number of a result it does not know", () => {
    expect(() => check(12345, "cuThing")).toThrow(
      "cuThing failed: the driver reported an error [CUresult 12345].",
    );
  });

  it("marks the faults after which the context is lost", () => {
    expect(cudaError("CUDA_ERROR_ILLEGAL_ADDRESS", "cuStreamSynchronize").sticky).toBe(true);
    expect(cudaError("CUDA_ERROR_ILLEGAL_ADDRESS", "x").message).toContain(
      "earlier asynchronous call",
    );
    expect(cudaError("CUDA_ERROR_OUT_OF_MEMORY", "cuMemAlloc").sticky).toBe(false);
  });

  it("computes the detail only for a failure", () => {
    const detail = () => "asked 4 bytes";
    expect(() => check(0, "x", detail)).not.toThrow();
    expect(() => check(2, "cuMemAlloc", detail)).toThrow(/\(asked 4 bytes\)/);
  });
});

import { describe, expect, it } from "vitest";
import { CUDA_RESULTS, CudaError, cudaError } from "../../../runtime/driver/check.ts";

describe("CUresult to error", () => {
  it("gives every result we tell apart one line with a remedy", () => {
    for (const [name, value] of Object.entries(CUDA_RESULTS)) {
      const error = new CudaError(value, "cuThing");
      expect(error.oneLine).toContain(name);
      expect(error.oneLine).not.toContain("\n");
      expect(error.hint?.length).toBeGreaterThan(10);
    }
  });

  it("keeps the number of a result it does not know", () => {
    expect(new CudaError(12345, "cuThing").message).toBe(
      "cuThing failed: the driver reported an error [CUresult 12345].",
    );
  });

  it("adds what only the caller knows", () => {
    expect(new CudaError(2, "cuMemAlloc", "asked for 4 bytes").message).toContain(
      "out of memory (asked for 4 bytes)",
    );
  });

  it("marks the faults after which the context is lost", () => {
    expect(cudaError("CUDA_ERROR_ILLEGAL_ADDRESS", "cuStreamSynchronize").sticky).toBe(true);
    expect(cudaError("CUDA_ERROR_ILLEGAL_ADDRESS", "x").message).toContain(
      "earlier asynchronous call",
    );
    expect(cudaError("CUDA_ERROR_OUT_OF_MEMORY", "cuMemAlloc").sticky).toBe(false);
  });
});

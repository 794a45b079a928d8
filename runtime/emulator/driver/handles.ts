import { cudaError } from "../../driver/check.ts";

/** Objects behind the numbers users hold. A number is never given out twice. */
export class Handles {
  readonly #objects = new Map<number, { readonly kind: string; readonly object: unknown }>();
  #next = 1;

  add<T extends object>(kind: string, make: (handle: number) => T): T {
    const handle = this.#next++;
    const object = make(handle);
    this.#objects.set(handle, { kind, object });
    return object;
  }

  /** Throws `CUDA_ERROR_INVALID_HANDLE` when the number stands for nothing of this kind. */
  get<T>(kind: string, handle: number, call: string): T {
    const found = this.#objects.get(handle);
    if (found?.kind !== kind) {
      throw cudaError("CUDA_ERROR_INVALID_HANDLE", call, `there is no ${kind} ${handle}`);
    }
    return found.object as T;
  }

  /** As `get`; the number stands for nothing from now on. */
  take<T>(kind: string, handle: number, call: string): T {
    const object = this.get<T>(kind, handle, call);
    this.#objects.delete(handle);
    return object;
  }

  all<T>(kind: string): readonly T[] {
    return [...this.#objects.values()]
      .filter((entry) => entry.kind === kind)
      .map((entry) => entry.object as T);
  }
}

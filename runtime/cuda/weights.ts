import { byteSize } from "../../src/ir/dtype.ts";
import type { ProgramCompiler } from "../../src/ir/program.ts";
import { HydrantError } from "../../src/util/errors.ts";
import type { DevicePtr } from "../driver/driver.ts";
import type { ParameterSource } from "../executor.ts";
import type { CudaDevice } from "./device.ts";
import { checkRoom, explainAllocation } from "./memory-errors.ts";
import type { KernelModules } from "./modules.ts";
import { planWeights, stagingBytes, type WeightPlan, weightPieces } from "./weight-pieces.ts";
import { uploadBytes, WeightsUpload } from "./weights-upload.ts";

export interface UploadSettings {
  /** Pieces under way at once. */
  readonly lanes: number;
  /** Bytes of a piece, if no row of tiles needs more. */
  readonly staging: number;
}

/** Large enough for full speed of file and bus, small enough not to matter beside a model. */
export const usualUpload: UploadSettings = { lanes: 4, staging: 16 << 20 };

/** Weights in device memory, each an allocation of its own, in the layouts kernels read. */
export class DeviceWeights {
  readonly byteLength: number;
  readonly #device: CudaDevice;
  readonly #places = new Map<string, { readonly plan: WeightPlan; readonly ptr: DevicePtr }>();

  private constructor(device: CudaDevice, plans: readonly WeightPlan[]) {
    this.#device = device;
    this.byteLength = plans.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * @throws HydrantError `cuda/model-too-large` before anything is read; `executor/not-finite`,
   *   `executor/weight`
   */
  static async load(
    device: CudaDevice,
    modules: KernelModules,
    compiler: ProgramCompiler,
    source: ParameterSource,
    settings: UploadSettings,
    signal?: AbortSignal,
  ): Promise<DeviceWeights> {
    signal?.throwIfAborted();
    const plans = planWeights(source);
    const weights = new DeviceWeights(device, plans);
    const staging = stagingBytes(plans, settings.staging);
    const pieces = [...weightPieces(plans, staging)];
    const lanes = Math.min(settings.lanes, pieces.length);
    const needs = [
      { what: "weights", bytes: weights.byteLength },
      { what: "loading", bytes: uploadBytes(plans, lanes, staging) },
    ];
    checkRoom(device, "cuda/model-too-large", needs);
    try {
      for (const plan of plans) {
        const ptr = device.driver.memAlloc(Math.max(plan.bytes, byteSize(plan.dtype)));
        weights.#places.set(plan.name, { plan, ptr });
      }
      await new WeightsUpload(device, modules, compiler, {
        source,
        weights: plans,
        pieces: pieces.values(),
        place: ({ name }) => weights.ptr(name),
        lanes,
        staging,
        signal,
      }).run();
      return weights;
    } catch (error) {
      const explained = explainAllocation(device, "cuda/model-too-large", needs, error);
      weights.dispose();
      throw explained;
    }
  }

  type(name: string): Pick<WeightPlan, "dtype" | "shape"> | undefined {
    return this.#places.get(name)?.plan;
  }

  /** @throws HydrantError `executor/parameter` */
  ptr(name: string): DevicePtr {
    const place = this.#places.get(name);
    if (place === undefined) {
      throw new HydrantError("executor/parameter", "The weights have no such tensor.", {
        path: name,
      });
    }
    return place.ptr;
  }

  dispose(): void {
    const { driver } = this.#device;
    for (const { ptr } of this.#places.values()) this.#device.release(() => driver.memFree(ptr));
    this.#places.clear();
  }
}

import type { Executor } from "../../runtime/executor.ts";
import { HydrantError } from "../util/errors.ts";

export interface DeviceOptions {
  readonly threads?: number | undefined;
}

/**
 * The executor of a device name.
 * @throws HydrantError `load/device` for a name that is not known.
 */
export async function openDevice(name: string, options: DeviceOptions): Promise<Executor> {
  switch (name) {
    case "auto":
    case "cpu": {
      const { CpuExecutor } = await import("../../runtime/cpu/executor.ts");
      return CpuExecutor.create(options);
    }
    case "interpreter": {
      const { InterpreterExecutor } = await import("../../runtime/interpreter-executor.ts");
      return new InterpreterExecutor();
    }
    default:
      throw new HydrantError("load/device", `There is no device "${name}".`, {
        hint: "Use auto, cpu or interpreter.",
      });
  }
}

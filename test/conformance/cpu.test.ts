import { CpuExecutor } from "../../runtime/cpu/executor.ts";
import { goldenTraces } from "./golden-traces.ts";
import { losslessness } from "./losslessness.ts";
import { opCases } from "./op-cases.ts";

const cpu = () => new CpuExecutor({ threads: 1 });
opCases(cpu);
goldenTraces(cpu);
losslessness(cpu);

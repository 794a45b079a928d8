import { CpuExecutor } from "../../runtime/cpu/executor.ts";
import { goldenTraces } from "./golden-traces.ts";
import { losslessness } from "./losslessness.ts";
import { opCases } from "./op-cases.ts";

opCases(() => new CpuExecutor({ threads: 2 }));
goldenTraces(() => new CpuExecutor({ threads: 1 }));
losslessness(() => new CpuExecutor({ threads: 2 }), { models: 4, tokens: 40 });

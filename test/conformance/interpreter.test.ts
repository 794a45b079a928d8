import { InterpreterExecutor } from "../../runtime/interpreter-executor.ts";
import { goldenTraces } from "./golden-traces.ts";
import { losslessness } from "./losslessness.ts";
import { opCases } from "./op-cases.ts";

const interpreter = () => new InterpreterExecutor();
opCases(interpreter);
goldenTraces(interpreter, { runs: 1 });
losslessness(interpreter, { models: 1 });

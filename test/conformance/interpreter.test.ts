import { InterpreterExecutor } from "../../runtime/interpreter-executor.ts";
import { goldenTraces } from "./golden-traces.ts";
import { opCases } from "./op-cases.ts";

opCases(() => new InterpreterExecutor());
goldenTraces(() => new InterpreterExecutor(), { runs: 1 });

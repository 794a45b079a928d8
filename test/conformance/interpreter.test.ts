import { InterpreterExecutor } from "../../runtime/interpreter-executor.ts";
import { goldenTraces } from "./golden-traces.ts";

goldenTraces(() => new InterpreterExecutor(), { runs: 1 });

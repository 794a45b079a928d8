import type { Command } from "commander";
import { convertCheckpoint } from "../../index.ts";

interface ConvertFlags {
  readonly heads?: string;
  readonly model?: string;
  readonly out: string;
}

export function registerConvert(program: Command): void {
  const command = program
    .command("convert")
    .description("torch checkpoint to safetensors, compared bit for bit afterwards")
    .option("--heads <file|dir>", "draft heads: hydra_lm_head.pt or its folder")
    .option("--model <file|dir>", "a model's pytorch_model.bin or its folder")
    .requiredOption("--out <dir>", "folder to write into")
    .action(async ({ heads, model, out }: ConvertFlags) => {
      const [input, other] = [heads, model].filter((value) => value !== undefined);
      if (input === undefined || other !== undefined) {
        return command.error("error: give exactly one of --heads, --model");
      }
      for (const { file, tensors, bytes } of await convertCheckpoint(input, out)) {
        process.stdout.write(`${file}: ${tensors} tensors, ${bytes} bytes\n`);
      }
    });
}

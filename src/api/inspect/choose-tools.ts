import type { Nvrtc } from "../../../runtime/nvrtc/nvrtc.ts";
import { HydrantError } from "../../util/errors.ts";
import { openCompiler, versionOf } from "./compile-kernels.ts";
import { type Disassembler, disassemblerHint, findDisassembler } from "./disassemble.ts";

/** `if-possible`: where the machine has what it takes; the inspection says why not otherwise. */
export type Wanted = "no" | "if-possible" | "required";

export interface Tools {
  readonly nvrtc: Nvrtc;
  readonly disassembler?: Disassembler;
  /** Why there is no disassembler. */
  readonly noSass?: string;
}

/**
 * NVRTC and, where machine code is wanted, nvdisasm. An nvdisasm reads what compilers up to its own
 * major version write: if it is required, the compiler is chosen to suit it.
 * @throws HydrantError `nvrtc/not-found`, `nvrtc/load`, `inspect/disassembler`.
 */
export async function chooseTools(arch: string, sass: Wanted): Promise<Tools> {
  switch (sass) {
    case "no":
      return { nvrtc: openCompiler() };
    case "if-possible": {
      const nvrtc = openCompiler();
      try {
        const disassembler = await findDisassembler();
        if (reads(disassembler, nvrtc)) return { nvrtc, disassembler };
        return { nvrtc, noSass: tooOld(disassembler, nvrtc, arch).oneLine };
      } catch (error) {
        if (!(error instanceof HydrantError)) throw error;
        return { nvrtc, noSass: error.oneLine };
      }
    }
    case "required": {
      const disassembler = await findDisassembler();
      const newest = openCompiler();
      if (reads(disassembler, newest)) return { nvrtc: newest, disassembler };
      return { nvrtc: olderCompiler(disassembler, newest, arch), disassembler };
    }
    default:
      return sass satisfies never;
  }
}

const reads = ({ version }: Disassembler, nvrtc: Nvrtc): boolean =>
  version.major >= nvrtc.version.major;

function olderCompiler(disassembler: Disassembler, newest: Nvrtc, arch: string): Nvrtc {
  let older: Nvrtc;
  try {
    older = openCompiler(disassembler.version.major);
  } catch {
    throw tooOld(disassembler, newest, arch);
  }
  // HYDRANT_NVRTC is taken whatever its version.
  if (!reads(disassembler, older)) throw tooOld(disassembler, older, arch);
  const number = Number(/\d+/.exec(arch)?.[0]);
  const knows = older.supportedArchs.includes(number);
  // The architecture-specific forms came with CUDA 12.
  const takes = knows && (/\d$/.test(arch) || older.version.major >= 12);
  if (!takes) throw tooOld(disassembler, newest, arch);
  return older;
}

function tooOld({ path, version }: Disassembler, nvrtc: Nvrtc, arch: string): HydrantError {
  const own = `${version.major}.${version.minor}`;
  return new HydrantError(
    "inspect/disassembler",
    `nvdisasm ${own} does not read what NVRTC ${versionOf(nvrtc)} compiles for ${arch}.`,
    { path, hint: disassemblerHint() },
  );
}

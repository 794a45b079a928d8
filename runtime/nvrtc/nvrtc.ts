/** Binding of libnvrtc, NVIDIA's run-time CUDA C++ compiler: versions 11.2 to 13.x. */
import koffi from "koffi";
import { HydrantError } from "../../src/util/errors.ts";
import { findNvrtc, type NvrtcLibrary, nvrtcInstallHint } from "./find-nvrtc.ts";

/** `nvrtcResult` values told apart here (nvrtc.h). */
const NVRTC_SUCCESS = 0;
const NVRTC_ERROR_INVALID_OPTION = 5;
const NVRTC_ERROR_COMPILATION = 6;

/** What one run of the compiler takes, as NVRTC itself takes it. */
export interface NvrtcInput {
  readonly source: string;
  /** File name in messages and line information. */
  readonly name: string;
  readonly options: readonly string[];
  /** Texts for `#include "NAME"`. */
  readonly headers: Readonly<Record<string, string>>;
  /** C++ names whose mangled forms are wanted, for example `scale<float, 4>`. */
  readonly nameExpressions: readonly string[];
}

export interface NvrtcOutput {
  /** False when the source or an option was refused; `log` says why, and nothing else is set. */
  readonly ok: boolean;
  /** What the compiler and its ptxas print, warnings included. */
  readonly log: string;
  readonly ptx: string;
  /** Empty when the target was a `compute_` architecture. */
  readonly cubin: Uint8Array;
  /** Mangled name of each name expression. */
  readonly loweredNames: Readonly<Record<string, string>>;
}

export interface Nvrtc {
  readonly library: NvrtcLibrary;
  readonly version: { readonly major: number; readonly minor: number };
  /** Real architectures it compiles for, for example 80 for `sm_80`, ascending. */
  readonly supportedArchs: readonly number[];
  /** Blocks for tens of milliseconds. Throws `nvrtc/failed` when NVRTC itself breaks. */
  compile(input: NvrtcInput): NvrtcOutput;
}

// Libraries unload when nothing refers to them, and libnvrtc opens its builtins library by soname
// only if it is loaded already: both handles live as long as the process.
const loaded = new Map<string, { readonly nvrtc: Nvrtc; readonly builtins: unknown }>();

/**
 * The best NVRTC of this machine (see `findNvrtc`), loaded once per process.
 * Throws `nvrtc/not-found` when there is none and `nvrtc/load` when it cannot be loaded.
 */
export function openNvrtc(
  options: { readonly maxMajor?: number; readonly library?: NvrtcLibrary } = {},
): Nvrtc {
  const candidates = options.library === undefined ? findNvrtc(options) : [options.library];
  let failure: HydrantError | undefined;
  for (const library of candidates) {
    try {
      return loadNvrtc(library);
    } catch (error) {
      if (!(error instanceof HydrantError)) throw error;
      failure ??= error;
    }
  }
  throw (
    failure ??
    new HydrantError(
      "nvrtc/not-found",
      options.maxMajor === undefined
        ? "libnvrtc, the CUDA run-time compiler, was not found."
        : `No libnvrtc of CUDA ${options.maxMajor} or older was found, the newest this driver can load code of.`,
      { hint: nvrtcInstallHint() },
    )
  );
}

/** The compiler recurses with the nesting of the source; koffi's own stack has 2 MiB. */
const NATIVE_STACK_BYTES = 8 * 2 ** 20;

function loadNvrtc(library: NvrtcLibrary): Nvrtc {
  const known = loaded.get(library.path);
  if (known !== undefined) return known.nvrtc;
  // Settings hold from the first library on; whoever loads one first makes them.
  if ((koffi.config().sync_stack_size ?? 0) < NATIVE_STACK_BYTES) {
    try {
      koffi.config({ sync_stack_size: NATIVE_STACK_BYTES });
    } catch {
      // A library is loaded already, with the smaller stack: enough for all but extreme nesting.
    }
  }
  try {
    const builtins = library.builtins === undefined ? undefined : koffi.load(library.builtins);
    const nvrtc = bindNvrtc(library);
    loaded.set(library.path, { nvrtc, builtins });
    return nvrtc;
  } catch (error) {
    if (error instanceof HydrantError) throw error;
    throw new HydrantError("nvrtc/load", `The library does not load: ${String(error)}.`, {
      path: library.path,
      hint: nvrtcInstallHint(),
      cause: error,
    });
  }
}

function bindNvrtc(library: NvrtcLibrary): Nvrtc {
  const lib = koffi.load(library.path);
  // Programs are handles to us: passed as plain 64-bit integers, which is also the fastest form.
  const nvrtcVersion = lib.func("int nvrtcVersion(void *major, void *minor)");
  const nvrtcGetNumSupportedArchs = lib.func("int nvrtcGetNumSupportedArchs(void *count)");
  const nvrtcGetSupportedArchs = lib.func("int nvrtcGetSupportedArchs(void *archs)");
  const nvrtcCreateProgram = lib.func(
    "int nvrtcCreateProgram(void *program, const char *source, const char *name, int numHeaders, const char **headers, const char **includeNames)",
  );
  const nvrtcDestroyProgram = lib.func("int nvrtcDestroyProgram(void *program)");
  const nvrtcAddNameExpression = lib.func(
    "int nvrtcAddNameExpression(uint64_t program, const char *expression)",
  );
  const nvrtcCompileProgram = lib.func(
    "int nvrtcCompileProgram(uint64_t program, int numOptions, const char **options)",
  );
  const nvrtcGetLoweredName = lib.func(
    "int nvrtcGetLoweredName(uint64_t program, const char *expression, void *lowered)",
  );
  const nvrtcGetErrorString = lib.func("const char *nvrtcGetErrorString(int result)");
  const sized = (what: string) => ({
    size: lib.func(`int nvrtcGet${what}Size(uint64_t program, void *size)`),
    bytes: lib.func(`int nvrtcGet${what}(uint64_t program, void *bytes)`),
  });
  const programLog = sized("ProgramLog");
  const ptxText = sized("PTX");
  const cubinImage = sized("CUBIN");

  const check = (result: number, call: string, log = ""): void => {
    if (result === NVRTC_SUCCESS) return;
    throw new HydrantError(
      "nvrtc/failed",
      `${call} failed: ${nvrtcGetErrorString(result)}${log === "" ? "" : ` (${log.trim()})`}.`,
      { path: library.path, hint: nvrtcInstallHint() },
    );
  };
  const read = (getter: ReturnType<typeof sized>, program: bigint, what: string): Uint8Array => {
    const size = new BigUint64Array(1);
    check(getter.size(program, size), `nvrtcGet${what}Size`);
    const bytes = new Uint8Array(Number(size[0]));
    if (bytes.length > 0) check(getter.bytes(program, bytes), `nvrtcGet${what}`);
    return bytes;
  };

  const major = new Int32Array(1);
  const minor = new Int32Array(1);
  check(nvrtcVersion(major, minor), "nvrtcVersion");
  const count = new Int32Array(1);
  check(nvrtcGetNumSupportedArchs(count), "nvrtcGetNumSupportedArchs");
  const archs = new Int32Array(count[0] ?? 0);
  check(nvrtcGetSupportedArchs(archs), "nvrtcGetSupportedArchs");

  return {
    library,
    version: { major: major[0] ?? 0, minor: minor[0] ?? 0 },
    supportedArchs: [...archs].sort((a, b) => a - b),
    compile(input) {
      const handle = new BigUint64Array(1);
      const includeNames = Object.keys(input.headers);
      check(
        nvrtcCreateProgram(
          handle,
          input.source,
          input.name,
          includeNames.length,
          Object.values(input.headers),
          includeNames,
        ),
        "nvrtcCreateProgram",
      );
      const program = handle[0] ?? 0n;
      try {
        for (const expression of input.nameExpressions) {
          check(nvrtcAddNameExpression(program, expression), "nvrtcAddNameExpression");
        }
        const result = nvrtcCompileProgram(program, input.options.length, input.options);
        const log = fromCString(read(programLog, program, "ProgramLog"));
        if (result === NVRTC_ERROR_COMPILATION || result === NVRTC_ERROR_INVALID_OPTION) {
          return { ok: false, log, ptx: "", cubin: new Uint8Array(0), loweredNames: {} };
        }
        check(result, "nvrtcCompileProgram", log);
        const loweredNames: Record<string, string> = {};
        for (const expression of input.nameExpressions) {
          const name = new BigUint64Array(1);
          check(nvrtcGetLoweredName(program, expression, name), "nvrtcGetLoweredName");
          loweredNames[expression] = koffi.decode.string(name[0]);
        }
        return {
          ok: true,
          log,
          ptx: fromCString(read(ptxText, program, "PTX")),
          cubin: read(cubinImage, program, "CUBIN"),
          loweredNames,
        };
      } finally {
        nvrtcDestroyProgram(handle);
      }
    },
  };
}

/** Text up to the closing NUL that NVRTC counts in its sizes. */
function fromCString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

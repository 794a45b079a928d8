import { describe, expect, it } from "vitest";
import { findDisassembler } from "../../src/api/inspect/disassemble.ts";
import { inspectProgram } from "../../src/index.ts";
import { installedNvrtc, NO_NVRTC } from "./nvrtc-here.ts";

const installed = installedNvrtc();
const newest = installed.some(({ nvrtc }) => nvrtc.version.major >= 12);
const disassembler = await findDisassembler().catch(() => undefined);

/** PTX of the kernels of a Vicuna-7B step whose name has `kernel` in it. */
async function ptxOf(arch: string, kernel: string): Promise<readonly string[]> {
  const { kernels } = await inspectProgram({ shape: "vicuna-7b", arch, kernel, sass: "no" });
  const ptx = kernels.flatMap(({ compiled }) => (compiled === undefined ? [] : [compiled.ptx]));
  expect(ptx.length).toBeGreaterThan(0);
  return ptx;
}

if (installed.length === 0) describe.skip(NO_NVRTC, () => it("looks at instructions", () => {}));

describe.skipIf(installed.length === 0)("hot kernels of a step", { timeout: 120_000 }, () => {
  it("copy asynchronously and multiply on tensor cores", async () => {
    for (const kernel of ["linear_4096x11008", "attention_tree"]) {
      for (const ptx of await ptxOf("sm_80", kernel)) {
        expect(ptx).toContain("cp.async.cg.shared.global");
        expect(ptx).toContain("mma.sync.aligned.m16n8k16");
        expect(ptx).toContain("ldmatrix.sync");
        expect(ptx).not.toMatch(/\.local\b/);
      }
    }
  });

  it.skipIf(!newest)(
    "copy weights in bulk where there are bulk copies (needs NVRTC 12)",
    async () => {
      for (const ptx of await ptxOf("sm_90a", "linear_4096x11008")) {
        const wait = ptx.indexOf("griddepcontrol.wait");
        const copy = ptx.indexOf("cp.async.bulk.shared::cluster.global.mbarrier");
        expect(ptx).toContain("mbarrier.try_wait.parity");
        // The first stages are on their way before the kernel's inputs are there.
        expect(copy).toBeGreaterThan(0);
        expect(wait).toBeGreaterThan(copy);
      }
    },
  );

  it.skipIf(disassembler === undefined)(
    "are LDGSTS and HMMA in machine code (needs nvdisasm)",
    async () => {
      for (const kernel of ["linear_4096x11008", "attention_tree"]) {
        const { kernels } = await inspectProgram({
          shape: "vicuna-7b",
          arch: "sm_80",
          kernel,
          sass: "required",
        });
        for (const { compiled } of kernels.filter((one) => one.compiled !== undefined)) {
          expect(compiled?.sass).toContain("LDGSTS.E.BYPASS.128");
          expect(compiled?.sass).toContain("HMMA.16816.F32.BF16");
          expect(compiled?.sass).toContain("LDSM.16.M88.4");
          // Registers are enough: nothing goes to local memory.
          expect(compiled?.sass).not.toMatch(/\b(STL|LDL)\b/);
        }
      }
    },
  );
});

import { describe, expect, it } from "vitest";
import { findDisassembler } from "../../src/api/inspect/disassemble.ts";
import { inspectProgram } from "../../src/index.ts";
import { installedNvrtc, NO_NVRTC } from "./nvrtc-here.ts";

const installed = installedNvrtc();
const newest = installed.some(({ nvrtc }) => nvrtc.version.major >= 12);
const disassembler = await findDisassembler().catch(() => undefined);

const readsNewest = newest && disassembler !== undefined && disassembler.version.major >= 13;

/** A Vicuna-7B step's layers of all kinds of cuts, for 64 rows. */
const hopperKernels = [
  "linear_4096_4096_4096x4096_bf16_r64",
  "linear_11008_11008x4096_bf16_r64",
  "linear_4096x11008_bf16_r64",
  "linear_32000x4096_bf16_r64",
];

/** The kernels of a Vicuna-7B step with Hydra++ whose name has `kernel` in it. */
async function compiled(arch: string, kernel: string, sass: "no" | "required" = "no") {
  const { kernels } = await inspectProgram({ shape: "vicuna-7b", arch, kernel, sass });
  const found = kernels.flatMap((one) => (one.compiled === undefined ? [] : [one.compiled]));
  expect(found.length).toBeGreaterThan(0);
  return found;
}

/** Their PTX. */
async function ptxOf(arch: string, kernel: string): Promise<readonly string[]> {
  return (await compiled(arch, kernel)).map(({ ptx }) => ptx);
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

  it.skipIf(!newest)(
    "multiply on warpgroups where there are some, one after another (needs NVRTC 12)",
    async () => {
      for (const kernel of hopperKernels) {
        for (const { ptx, log } of await compiled("sm_90a", kernel)) {
          expect(ptx).toContain("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16");
          expect(ptx).toContain("cp.async.bulk.tensor.2d.shared::cluster.global");
          expect(ptx).toContain("multicast::cluster");
          // The assembler says so where it waits for every product.
          expect(log).not.toContain("serialized");
        }
      }
    },
  );

  it.skipIf(!readsNewest)(
    "are HGMMA, UBLKCP and UTMALDG in Hopper's machine code (needs nvdisasm 12)",
    async () => {
      for (const kernel of hopperKernels) {
        for (const { sass = "" } of await compiled("sm_90a", kernel, "required")) {
          expect(sass).toContain("HGMMA.64x64x16.F32.BF16");
          expect(sass).toContain("UBLKCP.S.G");
          expect(sass).toContain("UTMALDG.2D.MULTICAST");
          expect(sass).not.toMatch(/\b(STL|LDL)\b/);
          // Four products under way, one wait: no wait between them, and no fence but the warps' own.
          expect(sass.match(/WARPGROUP\.DEPBAR/g)).toHaveLength(1);
          expect(sass.match(/HGMMA/g)).toHaveLength(4);
          const loop = sass.slice(
            sass.indexOf("HGMMA"),
            sass.indexOf("SYNCS.ARRIVE", sass.indexOf("HGMMA")),
          );
          expect(loop).not.toContain("MEMBAR");
        }
      }
    },
  );

  it.skipIf(!readsNewest)(
    "touch no memory but weights before the kernel ahead has ended, as the assembler orders them (needs nvdisasm 13)",
    async () => {
      for (const kernel of ["attention_tree", "finish", "r64_add_norm"]) {
        for (const { sass = "" } of await compiled("sm_90a", kernel, "required")) {
          const wait = sass.indexOf("ACQBULK");
          expect(wait, kernel).toBeGreaterThan(0);
          expect(sass.lastIndexOf("ACQBULK"), kernel).toBe(wait);
          expect(sass.slice(0, wait), kernel).not.toMatch(
            /\b(LDG|LD|STG|ST|ATOMG?|RED|LDGSTS|UTMALDG)\b/,
          );
          expect(sass, kernel).not.toMatch(/\bLDG\S*\.CONSTANT\b/);
        }
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

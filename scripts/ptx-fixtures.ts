/**
 * Compiles the conformance kernels with every NVRTC of this machine and writes their PTX to
 * test/fixtures/ptx, for machines without a compiler. Run: npx tsx scripts/ptx-fixtures.ts
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { compileCuda } from "../runtime/nvrtc/compile.ts";
import { conformanceSources, fixtureFolder } from "../test/conformance/kernels/sources.ts";
import { installedNvrtc } from "../test/compile/nvrtc-here.ts";

for (const { nvrtc } of installedNvrtc()) {
  const { major, minor } = nvrtc.version;
  const folder = fixtureFolder(`${major}.${minor}`);
  mkdirSync(folder, { recursive: true });
  for (const { name, url, archOf } of conformanceSources()) {
    const source = readFileSync(url, "utf8");
    const { ptx } = compileCuda(nvrtc, {
      source,
      name: `/kernels/${name}.cu`,
      arch: archOf(major),
    });
    writeFileSync(new URL(`${name}.ptx`, folder), ptx);
  }
  console.log(`${folder.pathname}: ${conformanceSources().length} files`);
}

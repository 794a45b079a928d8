import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findNvrtc } from "../../../runtime/nvrtc/find-nvrtc.ts";

let root = "";
const put = (...path: string[]): string => {
  const file = join(root, ...path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, "");
  return file;
};

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "hydrant-find-"));
  // A toolkit with links as NVIDIA's installer leaves them.
  put("toolkit", "lib64", "libnvrtc.so.12.4.127");
  symlinkSync("libnvrtc.so.12.4.127", join(root, "toolkit/lib64/libnvrtc.so.12"));
  symlinkSync("libnvrtc.so.12", join(root, "toolkit/lib64/libnvrtc.so"));
  put("toolkit", "lib64", "libnvrtc-builtins.so.12.4.127");
  symlinkSync(
    "libnvrtc-builtins.so.12.4.127",
    join(root, "toolkit/lib64/libnvrtc-builtins.so.12.4"),
  );
  const site = ["venv", "lib", "python3.12", "site-packages", "nvidia"];
  put(...site, "cu13", "lib", "libnvrtc.so.13");
  put(...site, "cu13", "lib", "libnvrtc.alt.so.13");
  put(...site, "cu13", "lib", "libnvrtc-builtins.so.13.0");
  put(...site, "cuda_nvrtc", "lib", "libnvrtc.so.12");
  put(...site, "cuda_nvrtc", "lib", "libnvrtc-builtins.so.12.8");
  put("ld", "libnvrtc.so.11.2");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** What is found below the fake root; the machine's own libraries are not this test's business. */
const find = (options: { maxMajor?: number } = {}) =>
  findNvrtc({
    ...options,
    env: {
      CUDA_HOME: join(root, "toolkit"),
      VIRTUAL_ENV: join(root, "venv"),
      LD_LIBRARY_PATH: join(root, "ld"),
    },
  }).filter((library) => library.path.startsWith(root));

describe("finding NVRTC", () => {
  it("finds each library once, the newest first, with its builtins", () => {
    expect(
      find().map(({ origin, version, builtins }) => [
        origin,
        `${version.major}.${version.minor}`,
        builtins?.split("/").at(-1),
      ]),
    ).toEqual([
      ["wheel", "13.0", "libnvrtc-builtins.so.13.0"],
      ["wheel", "12.8", "libnvrtc-builtins.so.12.8"],
      ["toolkit", "12.4", "libnvrtc-builtins.so.12.4"],
      ["loader", "11.2", undefined],
    ]);
  });

  it("leaves out what is newer than the driver can load", () => {
    expect(find({ maxMajor: 12 }).map(({ version }) => version.major)).toEqual([12, 12, 11]);
  });

  it("looks beside the Python on PATH, without its environment being activated", () => {
    put("venv", "bin", "python3");
    const found = findNvrtc({ env: { PATH: `/nowhere:${join(root, "venv", "bin")}` } });
    expect(found.filter(({ path }) => path.startsWith(join(root, "venv")))).toHaveLength(2);
  });

  it("follows a link on PATH to the environment it leads into", () => {
    put("system", "bin", "python3.12");
    mkdirSync(join(root, "linked", "bin"), { recursive: true });
    mkdirSync(join(root, "bin"));
    symlinkSync(join(root, "system/bin/python3.12"), join(root, "linked/bin/python3"));
    symlinkSync("../linked/bin/python3", join(root, "bin/python3"));
    put("linked/lib/python3.12/site-packages/nvidia/cu13/lib/libnvrtc.so.13");
    const found = findNvrtc({ env: { PATH: join(root, "bin") } });
    expect(found.filter(({ path }) => path.startsWith(join(root, "linked")))).toHaveLength(1);
  });

  it("takes HYDRANT_NVRTC alone, be it a file or a folder", () => {
    const folder = join(root, "toolkit/lib64");
    for (const HYDRANT_NVRTC of [folder, join(folder, "libnvrtc.so")]) {
      const found = findNvrtc({ env: { HYDRANT_NVRTC } });
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ origin: "HYDRANT_NVRTC", version: { major: 12, minor: 4 } });
    }
  });

  it("says so when HYDRANT_NVRTC leads nowhere", () => {
    for (const HYDRANT_NVRTC of [join(root, "nowhere"), root]) {
      expect(() => findNvrtc({ env: { HYDRANT_NVRTC } })).toThrow("leads to no libnvrtc");
    }
  });
});

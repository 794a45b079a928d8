// Makes dist/bundle/hydrant-gpu-check.tar.xz: everything that the GPU check needs on a machine with
// a driver and NVRTC and nothing else, Node included. With --without-data it leaves out the demo model
// and the golden traces, which the check then takes from a checkout (see docs/gpu-check.md).
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const mostBytes = 60 * 2 ** 20;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const withData = !process.argv.includes("--without-data");
const name = "hydrant-gpu-check";
const folder = join(root, "dist", "bundle");
const bundle = join(folder, name);
const archive = join(folder, `${name}${withData ? "" : "-without-data"}.tar.xz`);

rmSync(bundle, { recursive: true, force: true });
mkdirSync(bundle, { recursive: true });
run(process.execPath, join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.bundle.json");
copyAssets();
copyPackages();
copyNode();
writeLauncher();
if (withData) {
  copy("demo", "demo");
  copy("test/fixtures/golden", "dist/test/fixtures/golden");
}
rmSync(archive, { force: true });
execFileSync(
  "tar",
  ["--owner=0", "--group=0", "--sort=name", "-cJf", archive, "-C", folder, name],
  {
    env: { ...process.env, XZ_OPT: "-9e -T0" },
    stdio: "inherit",
  },
);
rmSync(bundle, { recursive: true });
const bytes = statSync(archive).size;
console.log(`${archive}: ${(bytes / 2 ** 20).toFixed(1)} MiB`);
if (bytes > mostBytes) {
  console.error(`That is more than ${mostBytes / 2 ** 20} MiB.`);
  process.exitCode = 1;
}

/** What the JavaScript reads and tsc does not copy. */
function copyAssets() {
  const noTypeScript = (path) => !path.endsWith(".ts");
  copy("runtime/nvrtc/prelude", "dist/runtime/nvrtc/prelude", noTypeScript);
  copy("kernels", "dist/kernels", noTypeScript);
  copy("test/conformance/cuda", "dist/test/conformance/cuda");
  copy("bench/ceilings", "dist/bench/ceilings", noTypeScript);
  copy("bench/peers/torch", "bench/peers/torch", noTypeScript);
}

/** The dependencies of the product, without what is never loaded here, and the tests' `expect`. */
function copyPackages() {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const { version } = lock.packages["node_modules/vitest"];
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  // What is bundled is JavaScript already.
  const own = Object.keys(dependencies).filter((name) => name !== "tsx");
  const wanted = closure([...own, "@koromix/koffi-linux-x64", "@vitest/expect"]);
  const unneeded = /\.(d\.[cm]?ts|[cm]?ts|map|md|markdown)$|\/musl_x64\/|\/test\/|\/cli\.js$/;
  for (const path of wanted) copy(path, path, (file) => !unneeded.test(file.slice(root.length)));
  // Checks import `expect` from vitest; here it comes without the runner.
  const standIn = join(bundle, "node_modules", "vitest");
  mkdirSync(standIn);
  writeFileSync(
    join(standIn, "package.json"),
    JSON.stringify({ name: "vitest", version, type: "module", exports: "./index.js" }),
  );
  writeFileSync(
    join(standIn, "index.js"),
    `import * as chai from "chai";
import {
  ASYMMETRIC_MATCHERS_OBJECT, customMatchers, getState, GLOBAL_EXPECT, JestAsymmetricMatchers,
  JestChaiExpect, JestExtend, setState,
} from "@vitest/expect";
chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
export const expect = (value, message) => chai.expect(value, message);
Object.assign(expect, chai.expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT]);
expect.getState = () => getState(expect);
expect.setState = (state) => setState(state, expect);
globalThis[GLOBAL_EXPECT] = expect;
expect.setState({ assertionCalls: 0, isExpectingAssertions: false });
chai.expect.extend(expect, customMatchers);
`,
  );

  /** Folders of packages and of what they depend on. */
  function closure(names) {
    const found = new Set();
    const visit = (packageName, from) => {
      // The nearest node_modules that has it, as Node looks it up.
      for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
        const path = `${at === "" ? "" : `${at}/`}node_modules/${packageName}`;
        const entry = lock.packages[path];
        if (entry !== undefined) {
          if (found.has(path)) return;
          found.add(path);
          for (const dependency of Object.keys(entry.dependencies ?? {})) visit(dependency, path);
          return;
        }
        if (at === "") throw new Error(`package-lock.json has no ${packageName}`);
      }
    };
    for (const packageName of names) visit(packageName, "");
    return found;
  }
}

/** This machine's Node, without its symbols. */
function copyNode() {
  const node = join(bundle, "bin", "node");
  mkdirSync(dirname(node));
  cpSync(process.execPath, node, { dereference: true });
  try {
    execFileSync("strip", [node]);
  } catch {
    // No binutils here: it is only larger then.
  }
}

function writeLauncher() {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  writeFileSync(
    join(bundle, "package.json"),
    `${JSON.stringify({ name, version, private: true, type: "module" })}\n`,
  );
  const commit = execFileSync("git", ["rev-parse", "--short=12", "HEAD"], {
    cwd: root,
    encoding: "utf8",
  });
  const changes = execFileSync("git", ["status", "--porcelain", "-uno"], {
    cwd: root,
    encoding: "utf8",
  });
  writeFileSync(
    join(bundle, "bundle.json"),
    `${JSON.stringify({ commit: commit.trim() + (changes === "" ? "" : "+") })}\n`,
  );
  const script = `#!/bin/sh
# Runs the GPU check; --help lists the options. HYDRANT_CHECKOUT is where the demo model and the
# golden traces are when this bundle has none; by default the folder it is started from.
here=$(cd "$(dirname "$0")" && pwd)
data=\${HYDRANT_CHECKOUT:-$PWD}
[ -e "$here/demo" ] || ln -s "$data/demo" "$here/demo"
[ -e "$here/dist/test/fixtures" ] || ln -s "$data/test/fixtures" "$here/dist/test/fixtures"
exec "$here/bin/node" "$here/dist/bench/gpu-check/main.js" "$@"
`;
  writeFileSync(join(bundle, "gpu-check"), script);
  chmodSync(join(bundle, "gpu-check"), 0o755);
  const hydra = `#!/bin/sh
exec "$(dirname "$0")/bin/node" "$(dirname "$0")/dist/src/cli/main.js" "$@"
`;
  writeFileSync(join(bundle, "hydra"), hydra);
  chmodSync(join(bundle, "hydra"), 0o755);
}

function copy(from, to, filter = () => true) {
  cpSync(join(root, from), join(bundle, to), { recursive: true, filter });
}

function run(file, ...args) {
  execFileSync(file, args, { cwd: root, stdio: "inherit" });
}

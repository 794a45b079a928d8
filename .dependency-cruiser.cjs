// The import DAG of ARCHITECTURE.md. Each entry: a layer and the layers it may import (besides itself).
const layers = {
  "src/util": [],
  "src/ir": ["src/util"],
  "src/speculation": ["src/ir", "src/util"],
  "src/models": ["src/speculation", "src/ir", "src/util"],
  "src/drafters": ["src/models", "src/speculation", "src/ir", "src/util"],
  "src/weights": ["src/ir", "src/util"],
  "src/text": ["src/util"],
  "src/inspection": [],
  "src/explorer": ["src/inspection"],
  kernels: ["src/ir", "src/util"],
  codegen: ["kernels", "src/ir", "src/util"],
  runtime: ["src/speculation", "src/ir", "src/util"],
  "src/api": [
    "src/util",
    "src/ir",
    "src/speculation",
    "src/models",
    "src/drafters",
    "src/weights",
    "src/text",
    "src/inspection",
    "kernels",
    "codegen",
    "runtime",
  ],
  "src/cli": ["src/index.ts", "src/util"],
};
const escapeDots = (path) => path.replace(/[.]/g, "\\.");
const inside = (path) => (path.endsWith(".ts") ? `^${escapeDots(path)}$` : `^${path}/`);
const everything = "^(src|kernels|codegen|runtime)/";

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    ...Object.entries(layers).map(([layer, allowed]) => ({
      name: `${layer}-imports`,
      severity: "error",
      comment: `${layer} may import ${[layer, ...allowed].join(", ")} only`,
      from: { path: inside(layer) },
      to: { path: everything, pathNot: [layer, ...allowed].map(inside) },
    })),
    {
      name: "codegen-is-pure",
      severity: "error",
      comment: "codegen and kernels touch no filesystem, environment or FFI",
      from: { path: "^(codegen|kernels|src/ir|src/speculation|src/models|src/drafters)/" },
      to: { dependencyTypes: ["core", "npm"] },
    },
    {
      name: "koffi-in-two-files",
      severity: "error",
      from: { pathNot: "^runtime/(driver/cuda-driver|nvrtc/nvrtc)\\.ts$" },
      to: { path: "node_modules/koffi" },
    },
  ],
  options: {
    tsPreCompilationDeps: false,
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
  },
};

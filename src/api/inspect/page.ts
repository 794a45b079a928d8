import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { constants, deflateRaw } from "node:zlib";
import type { InspectedKernel, PageData } from "../../inspection/inspection.ts";
import {
  type KernelTexts,
  kernelBlockId,
  pageBlockId,
  type StoredPage,
} from "../../inspection/stored-page.ts";
import { HydrantError } from "../../util/errors.ts";
import { bundleExplorer, type ExplorerBundle } from "./bundle-explorer.ts";
import { htmlPage } from "./html-page.ts";

/**
 * A page to explore a program or a generation: one HTML file that needs no network and, by its own
 * content policy, can reach none.
 * @throws HydrantError where the explorer is neither built nor can be bundled.
 */
export async function explorerPage(data: PageData): Promise<string> {
  const [{ js, css }, page, ...kernels] = await Promise.all([
    explorerBundle(),
    block(pageBlockId, storedPage(data)),
    ...(data.program?.kernels ?? []).map((kernel, index) =>
      block(kernelBlockId(index), kernelTexts(kernel)),
    ),
  ]);
  const title = data.program?.title ?? data.generation?.model ?? "hydrant";
  return htmlPage({ title: `${title} – hydrant`, data: [page, ...kernels].join("\n"), js, css });
}

async function explorerBundle(): Promise<ExplorerBundle> {
  const beside = (name: string) =>
    fileURLToPath(new URL(`../../explorer/${name}`, import.meta.url));
  if (existsSync(beside("explorer.js"))) {
    const [js, css] = await Promise.all(
      ["explorer.js", "explorer.css"].map((name) => readFile(beside(name), "utf8")),
    );
    return { js: js ?? "", css: css ?? "" };
  }
  if (existsSync(beside("main.tsx"))) return await bundleExplorer(beside("main.tsx"));
  throw new HydrantError("explorer/missing", "The explorer's files are not there.", {
    path: beside("explorer.js"),
    hint: "Run `npm run build`, or install the package again.",
  });
}

function storedPage({ program, generation }: PageData): StoredPage {
  if (program === undefined) return { generation };
  return { generation, program: { ...program, kernels: program.kernels.map(outline) } };
}

function outline({ generated: _, cuda: __, compiled, ...kernel }: InspectedKernel) {
  if (compiled === undefined) return kernel;
  const { ptx, ptxLines, sass, sassLines, log, ...rest } = compiled;
  return { ...kernel, compiled: rest };
}

function kernelTexts({ generated, cuda, compiled }: InspectedKernel): KernelTexts {
  const { ptx, ptxLines, sass, sassLines, log } = compiled ?? {};
  return {
    generated,
    cuda,
    ...(ptx !== undefined && { ptx }),
    ...(ptxLines !== undefined && { ptxLines }),
    ...(sass !== undefined && { sass }),
    ...(sassLines !== undefined && { sassLines }),
    ...(log !== undefined && { log }),
  };
}

const compress = promisify(deflateRaw);

/** Base64 has no `<`, so nothing in the data can end the element. */
async function block(id: string, data: unknown): Promise<string> {
  const packed = await compress(JSON.stringify(data), { level: constants.Z_BEST_COMPRESSION });
  return `<script id="${id}" type="application/octet-stream">${packed.toString("base64")}</script>`;
}

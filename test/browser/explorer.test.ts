import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { explorerPage, type Inspection, inspectProgram } from "../../src/index.ts";
import { installedNvrtc, NO_NVRTC } from "../compile/nvrtc-here.ts";
import { inChromium, launchChromium, openFile, withoutChromium } from "./chromium-here.ts";

const demo = (name: string) => fileURLToPath(new URL(`../../demo/model/${name}`, import.meta.url));
const withoutNvrtc = installedNvrtc().length === 0;
const compiled = withoutNvrtc ? `(${NO_NVRTC})` : "with NVRTC";
/** Text that would end a script, or start an element, were it not escaped. */
const title = "demo </script><img src=x onerror=alert(1)>";
const views = ["Overview", "Graph", "Kernels", "Roofline", "Timeline", "Memory", "Draft tree"];

describe.skipIf(withoutChromium)(`the explorer page ${inChromium}`, () => {
  let folder: string;
  let file: string;
  let program: Inspection;
  let browser: Browser;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hydrant-explorer-"));
    file = join(folder, "page.html");
    // An architecture that every NVRTC knows; one kernel compiled is enough to look at.
    const inspection = await inspectProgram({
      model: demo("base"),
      heads: demo("heads/hydra-plus-plus"),
      arch: "sm_80",
      kernel: "attention_tree",
      sass: "no",
    });
    program = { ...inspection, title };
    await writeFile(file, await explorerPage({ program }));
    browser = await launchChromium();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("shows every view from a file, with no network and no word on the console", async () => {
    const { page, complaints, requests } = await openFile(browser, file, "");
    expect(await page.title()).toBe(`${title} – hydrant`);
    for (const [index, name] of views.entries()) {
      await page.keyboard.press(`${index + 1}`);
      await page.locator(`nav a[aria-current=page]`, { hasText: name }).waitFor();
      await page.locator("main h2").first().waitFor();
      // Charts are drawn after the view is there.
      await page.waitForTimeout(150);
    }
    expect(await page.locator("nav a").count()).toBe(views.length);
    expect(complaints).toEqual([]);
    expect(requests).toEqual([]);
    await page.context().close();
  });

  it("says on the overview how many launches and kernels there are, and how often", async () => {
    const { page } = await openFile(browser, file, "#/overview");
    await page.locator("main h2").waitFor();
    expect(await page.locator("main h2").textContent()).toBe(title);
    const figure = (name: string) =>
      page.locator("main dl > div").filter({ hasText: name }).first().locator("dd");
    expect(await figure("Launches").textContent()).toContain(`${program.launches.length}`);
    expect(await figure("Kernels").textContent()).toContain(`${program.kernels.length}`);
    await page.goto(`file://${file}#/kernels`);
    const rows = page.getByRole("table", { name: "Kernels" }).locator("tbody tr");
    await rows.first().waitFor();
    expect(await rows.count()).toBe(program.kernels.length);
    await page.context().close();
  });

  it("finds the tree-attention kernel by its name and shows its CUDA", async () => {
    const { page, complaints } = await openFile(browser, file, "");
    await findAttention(page);
    const kernel = attention(program);
    expect(await page.locator("main h2").textContent()).toBe(kernel.entry);
    await page.getByText("Whole file").click();
    const lines = page.getByTestId("cuda").locator(".cm-line");
    await expect.poll(() => lines.first().textContent()).toBe(kernel.cuda.split("\n")[0]);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it.skipIf(withoutNvrtc)(`shows a kernel's registers and PTX ${compiled}`, async () => {
    const { page } = await openFile(browser, file, "");
    await findAttention(page);
    const { compiled: code } = attention(program);
    expect(await page.getByTestId("registers").textContent()).toBe(`${code?.registers}`);
    const shown = page.getByTestId("code").locator(".cm-line", { hasText: ".entry" });
    const entry = code?.ptx.split("\n").find((line) => line.includes(".entry"));
    expect(await shown.textContent()).toBe(entry);
    await page.context().close();
  });

  it.skipIf(withoutNvrtc)(`links lines of PTX and CUDA both ways ${compiled}`, async () => {
    const { page } = await openFile(browser, file, "");
    await findAttention(page);
    const { cuda, compiled: code } = attention(program);
    const [ptxPane, cudaPane] = [page.getByTestId("code"), page.getByTestId("cuda")];
    const ptx = code?.ptx.split("\n") ?? [];
    // The body's first instruction that has a line; most are of headers, out of the generated block.
    const body = ptx.findIndex((line) => line.includes(".entry"));
    const index = code?.ptxLines.findIndex((line, at) => at > body && line > 0) ?? -1;
    const source = code?.ptxLines[index] ?? 0;
    await ptxPane.locator(".cm-line", { hasText: ".entry" }).click();
    for (let line = body; line < index; line++) await page.keyboard.press("ArrowDown");
    const linked = cudaPane.locator(".cm-linked");
    await linked.waitFor();
    expect(await linked.textContent()).toBe(cuda.split("\n")[source - 1]);

    const all = code?.ptxLines.filter((line) => line === source).length;
    await expect
      .poll(() => page.getByRole("status").first().textContent())
      .toBe(`line ${source}: ${all} ${all === 1 ? "line" : "lines"} of PTX`);
    await linked.click();
    const lines = await ptxPane.locator(".cm-linked").allTextContents();
    expect(lines).toContain(ptx[index]);
    await expect.poll(() => page.url()).toContain(`line=${source}`);
    await page.context().close();
  });

  it("leads from the graph to a kernel by keyboard alone, and back", async () => {
    const { page, complaints } = await openFile(browser, file, "");
    await page.locator("main h2").waitFor();
    await page.keyboard.press("2");
    await page.locator("[data-card]").first().waitFor();
    const focused = () =>
      page.evaluate<string | null>("document.activeElement?.dataset.card ?? null");
    for (let tabs = 0; tabs < 30 && (await focused()) === null; tabs++)
      await page.keyboard.press("Tab");
    expect(await focused()).toBe("group 0");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    expect(await focused()).toBe("group 2");
    const launch = program.launches[program.groups[2]?.launches[0] ?? -1];
    await page.getByRole("complementary", { name: "The chosen group" }).waitFor();
    await page.keyboard.press("Enter");
    await expect
      .poll(() => page.locator("main h2").textContent())
      .toBe(program.kernels[launch?.kernel ?? -1]?.entry);
    await page.goBack();
    await page.locator("[data-card='group 2'][data-chosen]").waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("folds what repeats, and shows all of it when asked", async () => {
    const { page } = await openFile(browser, file, "#/graph");
    const cards = page.locator("[data-card]");
    await cards.first().waitFor();
    const folded = await cards.count();
    const all = new Set(program.launches.map(({ group }, index) => group ?? `launch ${index}`));
    expect(folded).toBeLessThan(all.size);
    await page.getByRole("button", { name: "Show every layer" }).click();
    await expect.poll(() => cards.count()).toBe(all.size);
    await page.context().close();
  });

  it("follows the system's colours until they are switched", async () => {
    const background = (page: Page) =>
      page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    const shades: string[] = [];
    for (const scheme of ["light", "dark"] as const) {
      const { page } = await openFile(browser, file, "", scheme);
      await page.locator("main h2").waitFor();
      shades.push(await background(page));
      if (scheme === "dark") {
        await page.keyboard.press("t");
        await expect.poll(() => background(page)).toBe(shades[0]);
      }
      await page.context().close();
    }
    expect(shades[0]).not.toBe(shades[1]);
  });

  it("works on a small program without tree or kernels' code", async () => {
    const plain = await inspectProgram({
      model: demo("base"),
      heads: undefined,
      graph: "prefill",
      rows: 16,
      arch: "sm_80",
      compile: "no",
    });
    const other = join(folder, "prefill.html");
    await writeFile(other, await explorerPage({ program: plain }));
    const { page, complaints } = await openFile(browser, other, "");
    await page.locator("main h2").waitFor();
    expect(await page.locator("nav a").allTextContents()).not.toContain("Draft tree");
    for (const view of ["graph", "kernels", "roofline", "timeline", "memory"]) {
      await page.goto(`file://${other}#/${view}`);
      await page.locator("main h2").first().waitFor();
    }
    await page.goto(`file://${other}#/kernels/${plain.kernels[0]?.entry}`);
    await page.getByTestId("cuda").locator(".cm-line").first().waitFor();
    expect(await page.getByTestId("code").count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

async function findAttention(page: Page): Promise<void> {
  await page.locator("main h2").first().waitFor();
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("Name of a kernel").fill("attention_tree");
  await page.getByRole("dialog").getByText("attention_tree").first().waitFor();
  await page.keyboard.press("Enter");
  await page.getByTestId("cuda").locator(".cm-line").first().waitFor();
}

function attention({ kernels }: Inspection) {
  const kernel = kernels.find(({ entry }) => entry.startsWith("attention_tree"));
  if (kernel === undefined) throw new RangeError("There is no tree attention.");
  return kernel;
}

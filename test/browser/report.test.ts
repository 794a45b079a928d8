import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatSpread } from "../../bench/report/format.ts";
import { reportOf } from "../../bench/report/report.ts";
import { reportPage } from "../../bench/report/report-page.ts";
import { parseResults, readResultFile, type ResultFile } from "../../bench/report/result-file.ts";
import { madeCheck, madeSuite } from "../unit/bench/report/made-results.ts";
import {
  inChromium,
  launchChromium,
  type OpenedPage,
  openFile,
  withoutChromium,
} from "./chromium-here.ts";

const decode = fileURLToPath(
  new URL("../../bench/results/decode-cpu-2-cores.json", import.meta.url),
);

describe.skipIf(withoutChromium)(`the report page ${inChromium}`, () => {
  let folder: string;
  let file: string;
  let files: readonly ResultFile[];
  let browser: Browser;
  let opened: OpenedPage;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hydrant-report-"));
    file = join(folder, "page.html");
    files = [
      readResultFile(decode),
      parseResults(JSON.stringify(madeSuite()), "made.json"),
      parseResults(JSON.stringify(madeSuite(2, 1.1)), "</script><img src=x onerror=alert(1)>.json"),
      parseResults(JSON.stringify(madeCheck()), "check.json"),
    ];
    await writeFile(file, await reportPage([...files.slice(1), ...files.slice(0, 1)]));
    browser = await launchChromium();
    opened = await openFile(browser, file, "");
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const cells = (page: Page, table: string, column: number) =>
    page.locator(`table[data-table="${table}"] tbody td:nth-child(${column})`).allTextContents();

  it("draws every chart and every table, with no network and no word on the console", async () => {
    const { page, complaints, requests } = opened;
    await page.locator("[data-chart] svg").first().waitFor();
    const sections = reportOf([...files.slice(1), ...files.slice(0, 1)]);
    const charts = sections.flatMap((section) => section.charts);
    expect(charts.length).toBeGreaterThan(20);
    expect(await page.locator("[data-chart] svg").count()).toBe(charts.length);
    expect(await page.locator("table").count()).toBe(
      sections.flatMap((section) => section.tables).length,
    );
    expect(complaints).toEqual([]);
    expect(requests).toEqual([]);
  });

  it("shows the figures of the file, and sorts them by click", async () => {
    const { page } = opened;
    const [results] = files;
    const first = results?.kind === "decode" ? results.results.measured[0] : undefined;
    if (first === undefined) throw new Error("the file is of decoding");
    const equal = first.differences.length;
    const plain = page.locator('table[data-table="decoding"] tbody tr').first();
    expect(await plain.locator("td").allTextContents()).toEqual(
      expect.arrayContaining([
        first.name,
        formatSpread(first.tokensPerSecond),
        `${equal} of ${equal}`,
      ]),
    );
    const header = page.locator('table[data-table="decoding"] th', { hasText: "tokens/s" });
    await header.locator("button").click();
    expect(await header.getAttribute("aria-sort")).toBe("descending");
    const falling = await cells(page, "decoding", 2);
    const medians = falling.map((text) => Number.parseFloat(text.replaceAll(",", "")));
    expect(medians).toEqual(medians.toSorted((a, b) => b - a));
    await header.locator("button").click();
    expect(await cells(page, "decoding", 2)).toEqual(falling.toReversed());
  });

  it("finds rows of a long table, and says which results are wrong", async () => {
    const { page } = opened;
    await page.getByLabel("Find rows of Kernels on cuda:0").first().fill("gate_up");
    const names = await page
      .locator('table[data-table="kernels-cuda:0"]')
      .first()
      .locator("tbody td:nth-child(2)")
      .allTextContents();
    expect(names).toEqual(Array.from({ length: 5 }, () => "gate_up"));
    expect(await page.getByRole("alert").allTextContents()).toEqual(
      expect.arrayContaining([expect.stringContaining("Part ops: failed.")]),
    );
  });

  it("follows the system's colours and changes them at a switch", async () => {
    const { page, complaints } = await openFile(browser, file, "", "dark");
    const fill = () => page.locator('[data-chart="rates"] svg text').first().getAttribute("fill");
    await page.locator('[data-chart="rates"] svg').waitFor();
    const dark = await fill();
    await page.getByRole("button", { name: "Switch to light" }).click();
    await page.getByRole("button", { name: "Switch to dark" }).waitFor();
    await expect.poll(fill).not.toBe(dark);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("shows a picture as an image, at its size", async () => {
    const { renderSvg } = await import("../../bench/report/render-svg.ts");
    const { darkPalette } = await import("../../bench/report/palette.ts");
    const [chart] = reportOf(files)[0]?.charts ?? [];
    if (chart === undefined) throw new Error("there is a chart");
    const svg = join(folder, "picture.svg");
    const html = join(folder, "picture.html");
    await writeFile(svg, renderSvg(chart, darkPalette));
    await writeFile(html, `<img src="picture.svg">`);
    const { page } = await openFile(browser, html, "");
    expect(await page.evaluate("document.images[0].naturalWidth")).toBe(860);
    await page.context().close();
  });
});

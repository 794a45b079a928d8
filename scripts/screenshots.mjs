// Pictures of the inspector in Chromium: `node scripts/screenshots.mjs [PAGE.html] [--all DIR]`.
// Without a page, one of vicuna-7b with hydra++ is made. The README's two go to docs/images; with
// --all, every view in both colours goes to DIR instead.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values, positionals } = parseArgs({
  options: { all: { type: "string" } },
  allowPositionals: true,
});
const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
if (!existsSync(executablePath)) {
  console.error(`There is no Chromium at ${executablePath}; point CHROMIUM_PATH at one.`);
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), "hydrant-screenshots-"));
const page = positionals[0] === undefined ? makePage(folder) : resolve(positionals[0]);
const out = values.all ?? join(root, "docs/images");
mkdirSync(out, { recursive: true });

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
});
for (const scheme of ["light", "dark"]) {
  const tab = await browser.newPage({
    viewport: { width: 1440, height: 900 },
    colorScheme: scheme,
    reducedMotion: "reduce",
  });
  await tab.goto(pathToFileURL(page).href);
  const attention = await kernelNamed(tab, "attention_tree");
  if (values.all === undefined)
    await picture(tab, `kernels/${attention}`, `inspector-${scheme}.png`);
  else for (const view of await viewsOf(tab)) await picture(tab, view, `${view}-${scheme}.png`);
  if (values.all !== undefined) await picture(tab, `kernels/${attention}`, `kernel-${scheme}.png`);
  await tab.close();
}
await browser.close();
rmSync(folder, { recursive: true });

async function picture(tab, place, name) {
  await tab.goto(`${pathToFileURL(page).href}#/${place}`);
  await tab.locator("main h2").first().waitFor();
  if (place.startsWith("kernels/")) {
    await tab.getByTestId("code").locator(".cm-line").first().waitFor();
    // A line of the softmax, found as a reader would.
    await tab.getByText("Whole file").click();
    await tab.getByTestId("cuda").locator(".cm-content").click();
    await tab.keyboard.press("Control+f");
    await tab.keyboard.type("pack_pair(Element{}, exp2");
    await tab.keyboard.press("Enter");
    await tab.keyboard.press("Escape");
  }
  await tab.waitForTimeout(700);
  await tab.mouse.move(5, 895);
  await tab.screenshot({ path: join(out, name) });
  console.log(join(out, name));
}

/** Places of the views of the page. */
async function viewsOf(tab) {
  const links = tab.getByRole("navigation", { name: "Views" }).getByRole("link");
  const hrefs = await links.evaluateAll((all) =>
    all.map((link) => link.getAttribute("href") ?? ""),
  );
  return hrefs.map((href) => href.replace("#/", ""));
}

async function kernelNamed(tab, name) {
  await tab.goto(`${pathToFileURL(page).href}#/kernels`);
  const link = tab.locator("main").getByRole("link", { name }).first();
  return (await link.textContent()) ?? "";
}

function makePage(folder) {
  const file = join(folder, "page.html");
  const made = spawnSync(
    process.execPath,
    [
      join(root, "scripts/run.mjs"),
      "src/cli/main.ts",
      "inspect",
      "--shape",
      "vicuna-7b",
      "--heads",
      "hydra++",
      "--arch",
      "sm_90a",
      "--html",
      file,
    ],
    { cwd: root, stdio: ["ignore", 2, 2] },
  );
  if (made.status !== 0) process.exit(1);
  return file;
}

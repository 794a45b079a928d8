import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { explorerPage, loadModel, type RecordedGeneration } from "../../src/index.ts";
import { namedTree } from "../../src/speculation/named-trees.ts";
import { hydra } from "../helpers/cli.ts";
import { inChromium, launchChromium, openFile, withoutChromium } from "./chromium-here.ts";

const demo = (name: string) => fileURLToPath(new URL(`../../demo/model/${name}`, import.meta.url));
const prompt = "Once upon a time there was a king";
const tree = namedTree("mc_sim_7b_63");

/** What `generate --json --trace` prints: another way to the same figures. */
interface Printed {
  readonly tokens: readonly number[];
  readonly text: string;
  readonly stats: { readonly steps: number; readonly tokensPerStep: number };
  readonly trace: readonly { readonly tree: number[]; readonly accepted: number[] }[];
}

/** Nodes of the accepted tokens: at each depth the child that holds the token. */
function pathOf({ tree: tokens, accepted }: Printed["trace"][number]): number[] {
  const path = [0];
  for (const token of accepted.slice(1)) {
    const children = tree.children(path.at(-1) ?? 0);
    path.push(children.find((child) => tokens[child] === token) ?? -1);
  }
  return path;
}

const position = async (page: Page) =>
  Number(await page.getByRole("slider", { name: "Step" }).getAttribute("aria-valuenow"));

/** Numbers of the drawn nodes of a kind. */
const nodes = (page: Page, kind: string) =>
  page
    .locator(`[data-node][data-kind=${kind}]`)
    .evaluateAll((all) => all.map((node) => Number(node.getAttribute("data-node"))));

const figure = (page: Page, name: string) =>
  page.locator("dl > div", { has: page.getByText(name, { exact: true }) }).locator("dd");

describe.skipIf(withoutChromium)(
  `the page of a generation ${inChromium}`,
  { timeout: 60_000 },
  () => {
    let directory: string;
    let browser: Browser;
    let printed: Printed;
    let auto: RecordedGeneration;
    let plain: RecordedGeneration;
    const file = (name: string) => join(directory, `${name}.html`);

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "hydrant-generation-"));
      const launching = launchChromium();
      const { stdout } = await hydra([
        ...["generate", "--model", demo("base"), "--heads", demo("heads/hydra")],
        ...["--prompt", prompt, "--max-new-tokens", "70", "--tree", "mc_sim_7b_63"],
        ...["--device", "cpu", "--json", "--trace", "--inspect", file("drafts")],
      ]);
      printed = JSON.parse(stdout);
      const model = await loadModel(demo("base"), { heads: demo("heads/hydra"), device: "cpu" });
      const record = async (options: { tree?: string; method?: string }) => {
        const request = { prompt, maxNewTokens: 40, temperature: 0.8, seed: 3, ...options };
        const { recording } = await model.generate({ ...request, record: true });
        if (recording === undefined) throw new Error("nothing was recorded");
        return recording;
      };
      auto = await record({ tree: "auto" });
      plain = await record({ method: "autoregressive" });
      await model.dispose();
      await writeFile(file("auto"), await explorerPage({ generation: auto }));
      await writeFile(file("plain"), await explorerPage({ generation: plain }));
      browser = await launching;
    }, 120_000);
    afterAll(async () => {
      await browser?.close();
      await rm(directory, { recursive: true, force: true });
    });

    it("shows the figures, the whole text and no complaint, without a network", async () => {
      const { page, complaints, requests } = await openFile(browser, file("drafts"), "");
      await page.getByRole("heading", { name: "Generation" }).waitFor();
      expect(await figure(page, "tokens").textContent()).toBe("70");
      expect(await figure(page, "steps").textContent()).toBe(`${printed.stats.steps}`);
      expect(await figure(page, "tokens per step").textContent()).toBe(
        printed.stats.tokensPerStep.toFixed(2),
      );
      const shown = await page.locator("span[data-step]").allTextContents();
      expect(shown).toHaveLength(printed.tokens.length);
      expect(shown.join("").replaceAll(/⏎\n?/g, "\n")).toBe(printed.text);
      const drafted = await page.locator("span[data-step][data-kind=accepted]").count();
      expect(drafted).toBe(
        printed.trace.reduce((sum, { accepted }) => sum + accepted.length - 1, 0) -
          (printed.trace.flatMap(({ accepted }) => accepted).length - printed.tokens.length),
      );
      expect({ complaints, requests }).toEqual({ complaints: [], requests: [] });
      await page.context().close();
    });

    it("replays every step: its tree, what was accepted, and what came instead", async () => {
      const { page, complaints } = await openFile(browser, file("drafts"), "#/generation?step=1");
      await page.getByRole("slider", { name: "Step" }).waitFor();
      for (const [index, step] of printed.trace.entries()) {
        expect(await position(page)).toBe(index + 1);
        const path = pathOf(step);
        expect(await nodes(page, "accepted")).toEqual(path.slice(1));
        expect(await nodes(page, "rejected")).toHaveLength(tree.size - path.length);
        const titles = await page.locator("[data-node] > title").allTextContents();
        const next = printed.trace[index + 1]?.tree[0];
        const drawn = next === undefined ? step.tree : [...step.tree, next];
        expect(titles.map((title) => Number(/token (\d+) /.exec(title)?.[1]))).toEqual(drawn);
        const isLeaf = tree.children(path.at(-1) ?? 0).length === 0;
        expect(await nodes(page, isLeaf ? "bonus" : "correction")).toHaveLength(
          next === undefined ? 0 : 1,
        );
        await page.keyboard.press("ArrowRight");
      }
      expect(await position(page)).toBe(printed.trace.length);
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    it("plays to the end, pauses, and goes where keys and clicks say", async () => {
      const { page } = await openFile(browser, file("drafts"), "#/generation");
      const slider = page.getByRole("slider", { name: "Step" });
      await slider.waitFor();
      const steps = printed.trace.length;
      expect(await position(page)).toBe(steps);
      await page.keyboard.press("Home");
      expect(await position(page)).toBe(1);
      await page.keyboard.press("Shift+ArrowRight");
      expect(await position(page)).toBe(Math.min(11, steps));
      await page.locator('span[data-step="3"]').first().click();
      expect(await position(page)).toBe(4);
      await page.getByLabel("Speed").first().click();
      await page.getByRole("option", { name: "100 steps/s" }).click();
      await page.getByRole("button", { name: "Play" }).click();
      await page.locator(`[role=slider][aria-valuenow="${steps}"]`).waitFor();
      await page.getByRole("button", { name: "Play" }).waitFor();
      // From the end it plays again from the beginning; a key stops it.
      await page.getByLabel("Speed").first().click();
      await page.getByRole("option", { name: "1 step/s" }).click();
      await page.getByRole("button", { name: "Play" }).click();
      await page.getByRole("button", { name: "Pause" }).waitFor();
      expect(await position(page)).toBeLessThan(steps);
      await page.keyboard.press("ArrowLeft");
      await page.getByRole("button", { name: "Play" }).waitFor();
      // The place is kept in the address, so that a link leads to the step.
      const stopped = await position(page);
      await page.waitForURL(new RegExp(`step=${stopped}$`));
      await page.context().close();
    });

    it("counts by depth and rank what the trace says", async () => {
      const { page } = await openFile(browser, file("drafts"), "#/generation");
      const rows = page.getByRole("table", { name: "Accepted drafts by depth and rank" });
      await rows.waitFor();
      for (let depth = 1; depth <= tree.maxDepth; depth++) {
        const cells = rows.getByRole("row", { name: `depth ${depth}` }).getByRole("cell");
        const offered = new Map<number, number>();
        const accepted = new Map<number, number>();
        for (const step of printed.trace) {
          const path = pathOf(step);
          const parent = path[depth - 1];
          for (const child of parent === undefined ? [] : tree.children(parent)) {
            const rank = tree.ranks[child] ?? -1;
            offered.set(rank, (offered.get(rank) ?? 0) + 1);
            if (path[depth] === child) accepted.set(rank, (accepted.get(rank) ?? 0) + 1);
          }
        }
        const titles = await cells.evaluateAll((all) => all.map((cell) => cell.title));
        expect(titles.filter((title) => title !== "")).toEqual(
          [...offered]
            .sort(([a], [b]) => a - b)
            .map(([rank, count]) => `${accepted.get(rank) ?? 0} of ${count}`),
        );
      }
      await page.context().close();
    });

    it("draws the tree with its mask, and a key path through it", async () => {
      const { page, complaints } = await openFile(browser, file("drafts"), "#/generation", "dark");
      await page.getByRole("button", { name: "Show tree mc_sim_7b_63" }).click();
      const drawing = page.getByRole("application", { name: /^Draft tree/ });
      await drawing.waitFor();
      expect(await drawing.locator("[data-node]").count()).toBe(64);
      expect(await figureIn(page, "leaves")).toBe(
        `${tree.parents.length - new Set(tree.parents).size + 1}`,
      );
      await drawing.focus();
      for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown"])
        await page.keyboard.press(key);
      const [node] = tree.paths.flatMap((path, index) => (path.join() === "0,1" ? [index] : []));
      await page.getByText(`Node ${node}: path 0 · 1, depth 2`, { exact: false }).last().waitFor();
      expect(await drawing.locator("[data-node][data-marked]").count()).toBe(3);
      // A cell of the mask says who sees whom: the last row and the root's column.
      const mask = page.getByRole("img", { name: "Attention mask of 64 nodes" });
      const box = await mask.boundingBox();
      if (box === null) throw new Error("the mask is not shown");
      await page.mouse.move(box.x + 28, box.y + box.height - 3);
      await page.getByText(/^Node 63 \(path .*\) sees node 0$/).waitFor();
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    it("counts the trees of auto, and shows plain decoding without any", async () => {
      const opened = await openFile(browser, file("auto"), "#/generation");
      const table = opened.page.getByRole("table", { name: "Trees that were used" });
      await table.waitFor();
      const used = new Map<string, number>();
      for (const step of auto.steps) {
        const { name = "" } = auto.trees[step.tree] ?? {};
        used.set(name, (used.get(name) ?? 0) + 1);
      }
      for (const [name, steps] of used) {
        const cells = table.getByRole("row", { name: new RegExp(`^(Show tree )?${name} `) });
        expect(await cells.getByRole("cell").nth(2).textContent(), name).toBe(`${steps}`);
      }
      expect(opened.complaints).toEqual([]);
      await opened.page.context().close();

      const { page, complaints } = await openFile(browser, file("plain"), "#/generation?step=9");
      await page.getByText("A plain step: no drafts.").waitFor();
      expect(await figure(page, "tokens per step").textContent()).toBe("1.00");
      expect(await page.locator("span[data-step]").count()).toBe(9);
      expect(await page.locator("svg [data-node]").count()).toBe(0);
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    it("stays usable with thousands of steps", async () => {
      const [step] = plain.steps;
      if (step === undefined) throw new Error("nothing was generated");
      const tokens = Array<number>(tree.size).fill(step.tokens[0] ?? 0);
      const long: RecordedGeneration = {
        ...plain,
        trees: [
          {
            name: tree.name,
            parents: [...tree.parents],
            depths: [...tree.depths],
            ranks: [...tree.ranks],
          },
        ],
        steps: Array.from({ length: 4096 }, (_, index) => ({
          tree: 0,
          tokens,
          path: [0, 1],
          given: 2,
          pieces: [" word", index % 40 === 39 ? "\n" : ","],
          ms: 1,
        })),
      };
      await writeFile(file("long"), await explorerPage({ generation: long }));
      const { page } = await openFile(browser, file("long"), "#/generation?step=3000");
      await page.getByText("step 3000 of 4096").waitFor();
      expect(await page.locator("span[data-step]").count()).toBe(6000);
      await page.getByLabel("Speed").first().click();
      await page.getByRole("option", { name: "100 steps/s" }).click();
      await page.getByRole("button", { name: "Play" }).click();
      await expect.poll(() => position(page), { timeout: 20_000 }).toBeGreaterThan(3060);
      await page.keyboard.press("Home");
      expect(await position(page)).toBe(1);
      expect(await page.locator("span[data-step]").count()).toBe(2);
      await page.context().close();
    });

    const figureIn = (page: Page, name: string) => figure(page, name).last().textContent();
  },
);

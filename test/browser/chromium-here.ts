import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

/** `CHROMIUM_PATH=/nowhere` is how to see what a machine without Chromium sees. */
const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";

export const withoutChromium = !existsSync(executablePath);
export const inChromium = withoutChromium
  ? `(skipped: there is no ${executablePath})`
  : "in Chromium";

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A page opened from a file, with what it should not do. */
export interface OpenedPage {
  readonly page: Page;
  /** Errors and warnings on the console, and uncaught exceptions. */
  readonly complaints: readonly string[];
  /** Whatever it asked a network for. */
  readonly requests: readonly string[];
}

/** Opens an HTML file with the network off. @param hash the place in the page: `#/generation`. */
export async function openFile(
  browser: Browser,
  file: string,
  hash: string,
  colorScheme: "light" | "dark" = "light",
): Promise<OpenedPage> {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    colorScheme,
    offline: true,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!/^(file|data|blob):/.test(request.url())) requests.push(request.url());
  });
  await page.goto(`file://${file}${hash}`);
  return { page, complaints, requests };
}

// What all browser tests share: pages that are made by `lab`, opened in Chromium, and watched for what must never happen.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The program under test. */
export const LAB = process.env.LAB;
assert.ok(LAB, "LAB must name the lab program");

export const folder = mkdtempSync(join(tmpdir(), "lab-browser-"));

/** The page that `lab report` makes of an object with a schema: its path. */
export function made(name, object) {
  const out = join(folder, name);
  const stored = join(folder, `${name}.json`);
  writeFileSync(stored, JSON.stringify(object));
  const said = execFileSync(LAB, ["report", stored, "--out", out], { encoding: "utf8" });
  return said.trim().replace(/^\w+: /, "");
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // A container's root can't make a sandbox within the sandbox.
    args: ["--no-sandbox"],
  });
}

/**
 * Opens a page that may talk to nobody but `origin`. `troubles` collects what the console, scripts and requests must not
 * say.
 */
export async function open(
  browser,
  url,
  { width = 1280, height = 900, scheme = "light", origin = "file:", bypass = true, media } = {},
) {
  // axe-core comes in by a script of its own, which the page's content policy would keep out.
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, bypassCSP: bypass });
  const page = await context.newPage();
  const troubles = [];
  page.on("console", (message) => {
    if (message.type() === "error") troubles.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => troubles.push(`script: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith("blob:"))
      troubles.push(`request: ${request.url()}`);
  });
  if (media) await page.emulateMedia({ media, colorScheme: scheme });
  await page.goto(url);
  return { page, troubles };
}

/** Fails with what axe-core finds. */
export async function accessible(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(
    (one) =>
      `${one.id}: ${one.help}: ${one.nodes
        .slice(0, 4)
        .map((node) => node.html.slice(0, 160))
        .join(" | ")}`,
  );
  assert.deepEqual(found, []);
}

/** True if nothing is wider than the screen, so that nobody scrolls a page sideways. */
export function fits(page) {
  return page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
}

// The report: every chart is an SVG with a description, it can be read without mouse and without colour, and it loads
// nothing.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { accessible, fits, launch, made, open } from "./browser.mjs";
import { results } from "./results.mjs";

let browser;
let url;
before(async () => {
  url = pathToFileURL(made("report", results())).href;
  browser = await launch();
});
after(() => browser?.close());

for (const scheme of ["light", "dark"]) {
  for (const width of [1280, 400]) {
    test(`every chart is drawn, ${scheme}, ${width} px wide; axe-core finds nothing; no request`, async () => {
      const { page, troubles } = await open(browser, url, { scheme, width });
      const charts = page.locator("figure[data-chart]");
      // Values, ratios, memory and latency of the first workload; values, ratios, CPU time and memory of the second.
      assert.equal(await charts.count(), 8);
      for (const chart of await charts.all()) {
        const svg = chart.locator("svg[role=img]");
        assert.match(await svg.getAttribute("aria-label"), /n1.*mn.*threads.*tokio-mt/);
        assert.ok((await svg.locator("rect, circle, path").count()) >= 4);
        const box = await svg.boundingBox();
        assert.ok(box.width > 250 && box.height > 100, JSON.stringify(box));
      }
      assert.ok(await fits(page));
      await accessible(page);
      assert.deepEqual(troubles, []);
    });
  }
}

test("one runtime has one colour in every chart", async () => {
  const { page } = await open(browser, url);
  const colours = await page.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    return ["n1", "mn", "threads", "tokio-mt"].map((name) => style.getPropertyValue(`--run-${name}`).trim());
  });
  assert.equal(new Set(colours).size, 4);
  for (const kind of ["values", "cpu", "memory"]) {
    const chart = page.locator(`figure[data-chart="1"][data-kind="${kind}"]`);
    const fills = await chart.locator('[fill="var(--run-mn)"], [stroke="var(--run-mn)"]').count();
    assert.ok(fills >= 1, kind);
  }
});

test("a raw point stands for each round, and the table of all runs opens by key", async () => {
  const { page } = await open(browser, url);
  assert.equal(await page.locator('figure[data-chart="0"][data-kind="values"] circle').count(), 5 * 8);
  const summary = page.locator("details.raw summary").first();
  assert.equal(await summary.textContent(), "All 40 runs");
  await summary.focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("details.raw tbody tr");
  assert.equal(await page.locator("details.raw tbody tr").count(), 40);
});

test("what results say is text, and a failure is shown", async () => {
  const { page, troubles } = await open(browser, url, { bypass: false });
  assert.equal(await page.title(), "Concurrency runtimes compared");
  assert.match(await page.textContent(".failures"), /smol.*<script>/s);
  assert.match(await page.textContent("#environment"), /A <b>processor<\/b>/);
  assert.deepEqual(troubles, []);
});

test("sentences come before the decision table, and that before the workloads", async () => {
  const { page } = await open(browser, url);
  const order = await page.locator("main > section").evaluateAll((all) => all.map((section) => section.id));
  assert.deepEqual(order, ["answer", "overview", "w0-echo", "w1-spawn", "method", "environment"]);
  await page.locator("nav a", { hasText: "spawn" }).click();
  assert.match(page.url(), /#w1-spawn$/);
});

test("the parts of a stacked bar add up to all of it, and stand in a table", async () => {
  const { page } = await open(browser, url);
  const bars = page.locator("#w0-echo .bar");
  assert.equal(await bars.count(), 3);
  for (const bar of await bars.all()) {
    const widths = await bar.locator("span").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().width));
    const whole = await bar.evaluate((one) => one.clientWidth);
    const sum = widths.reduce((one, other) => one + other, 0);
    assert.ok(Math.abs(sum - whole) < 1, `${sum} of ${whole}`);
    assert.equal(widths.length, 7);
  }
  assert.match(await page.textContent("#w0-echo"), /threads\s*30\.0%\s*10\.0%\s*5\.0%\s*40\.0%/);
  assert.match(await page.textContent("#w1-spawn"), /Not recorded: threads, timed out: <b>no answer<\/b>/);
});

test("a timeline is a still picture at first, and one to zoom and search on demand", async () => {
  const { page, troubles } = await open(browser, url, { bypass: false });
  assert.ok((await page.locator("#w0-echo .lanes path.lane-running").count()) >= 3);
  const button = page.locator("#w0-echo .timeline button");
  await button.focus();
  await page.keyboard.press("Enter");
  const frame = page.frameLocator("#w0-echo .timeline iframe");
  await frame.locator('body[data-ready="true"]').waitFor();
  assert.equal(await frame.locator("#figures tr").count(), 3);
  await frame.locator("#search").fill("root");
  assert.match(await frame.locator("#matches").textContent(), /^1 of 12 tasks$/);
  assert.match(await page.getAttribute("#w0-echo .timeline iframe", "title"), /^Timeline of echo$/);
  assert.deepEqual(troubles, []);
  // On a page of its own, so that axe-core can come in.
  const shown = await open(browser, url);
  await shown.page.locator("#w1-spawn .timeline button").click();
  await accessible(shown.page);
});

test("it can be read without scripts", async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(url);
  assert.ok((await page.locator("#w0-echo .lane svg").count()) >= 4);
  assert.ok(await page.locator("#w0-echo .timeline button").isHidden());
  assert.match(await page.textContent("#w1-spawn table"), /tokio-mt.*worse/s);
});

test("it prints on light paper, with its charts", async () => {
  const { page } = await open(browser, url, { scheme: "dark", media: "print" });
  const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(paper, "rgb(255, 255, 255)");
  const blue = await page.evaluate(() =>
    getComputedStyle(document.documentElement).getPropertyValue("--run-mn").trim(),
  );
  assert.equal(blue, "#0067a6");
  assert.ok((await page.pdf()).length > 20_000);
});

test("it is under 2 MB", () => {
  const { size } = statSync(fileURLToPath(url));
  assert.ok(size < 2_000_000, `${size} bytes`);
});

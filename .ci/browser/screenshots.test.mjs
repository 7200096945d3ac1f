// The pages look as they did: charts, tables, stacked bars and timelines, in both schemes, on a screen and on a phone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { launch, made, open } from "./browser.mjs";
import { results } from "./results.mjs";
import { differences, hasFont, looksAsBefore, sheet, still } from "./screenshots.mjs";
import { small } from "./traces.mjs";

let browser;
let report;
let timeline;
before(async () => {
  report = pathToFileURL(made("looks", results())).href;
  timeline = pathToFileURL(made("looks-timeline", small())).href;
  browser = await launch();
  const { page } = await open(browser, "about:blank", { origin: "" });
  await hasFont(page);
});
after(() => browser?.close());

/** What of the report is looked at. */
const PARTS = [
  "#overview",
  "figure[data-chart]",
  "#w0-echo .splits",
  "#w0-echo .lanes",
  "#w0-echo table >> nth=0",
];

async function parts(page) {
  const all = [];
  for (const selector of PARTS) all.push(...(await page.locator(selector).all()));
  return all;
}

async function reportPage(options) {
  const { page } = await open(browser, "about:blank", { origin: "", ...options });
  await still(page);
  await page.goto(report);
  await page.waitForSelector("figure[data-chart] svg");
  return page;
}

for (const scheme of ["light", "dark"]) {
  for (const width of [1280, 400]) {
    test(`the report looks as it did, ${scheme}, ${width} px wide`, async () => {
      const page = await reportPage({ scheme, width });
      await looksAsBefore(page, `report-${scheme}-${width}`, await parts(page));
    });

    test(`the timeline looks as it did, ${scheme}, ${width} px wide`, async () => {
      const { page } = await open(browser, "about:blank", { origin: "", scheme, width });
      await still(page);
      await page.goto(timeline);
      await page.waitForFunction(() => document.body.dataset.ready === "true");
      const locators = [page.locator(".stage"), page.locator(".tools"), page.locator(".legend")];
      await looksAsBefore(page, `timeline-${scheme}-${width}`, locators);
    });
  }
}

test("a chart that is missing is noticed, and so is a bar of another colour", async () => {
  const page = await reportPage({});
  const changed = async (locator, css) => {
    const whole = await sheet(page, [locator]);
    assert.deepEqual(await differences(page, whole, await sheet(page, [locator])), []);
    const style = await page.addStyleTag({ content: css });
    const found = await differences(page, whole, await sheet(page, [locator]));
    await style.evaluate((one) => one.remove());
    return found.length > 0;
  };
  const charts = page.locator("figure[data-chart]");
  for (const chart of await charts.all()) assert.ok(await changed(chart, "figure svg { visibility: hidden; }"));
  const hidden = ".part-asleep { background: var(--paper) !important; }";
  assert.ok(await changed(page.locator("#w0-echo .splits"), hidden));
  const recoloured = ":root { --run-mn: var(--run-n1) !important; }";
  assert.ok(await changed(charts.first(), recoloured));
  assert.ok(await changed(page.locator("#w0-echo .lanes"), recoloured));
});

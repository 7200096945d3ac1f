// The page of the zoo: the table links to the failures, and each has its timeline or the reason why there is none.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { accessible, fits, launch, made, open } from "./browser.mjs";
import { zoo } from "./zoo.mjs";

let browser;
let url;
before(async () => {
  url = pathToFileURL(made("zoo", zoo())).href;
  browser = await launch();
});
after(() => browser?.close());

for (const scheme of ["light", "dark"]) {
  for (const width of [1280, 400]) {
    test(`the zoo's page can be read, ${scheme}, ${width} px wide; axe-core finds nothing; no request`, async () => {
      const { page, troubles } = await open(browser, url, { scheme, width });
      assert.ok(await fits(page));
      await accessible(page);
      assert.deepEqual(troubles, []);
    });
  }
}

test("a failure in the table leads to its timeline, which opens by key", async () => {
  const { page, troubles } = await open(browser, url, { bypass: false });
  const failures = page.locator("td.failed a");
  assert.equal(await failures.count(), 4);
  await failures.first().click();
  assert.match(page.url(), /#p0-0$/);
  const place = page.locator("#p0-0");
  assert.ok((await place.locator("path.lane-running").count()) >= 1);
  const button = place.locator(".timeline button");
  assert.equal(await button.textContent(), "Open the timeline of endless-poll under n1");
  await button.focus();
  await page.keyboard.press("Enter");
  const frame = page.frameLocator("#p0-0 .timeline iframe");
  await frame.locator('body[data-ready="true"]').waitFor();
  assert.equal(await frame.locator("#figures tr").count(), 1);
  assert.match(await page.getAttribute("#p0-0 .timeline iframe", "title"), /^Timeline of endless-poll under n1$/);
  assert.deepEqual(troubles, []);
});

test("the page says what was dropped, and why there is no timeline; names are text", async () => {
  const { page, troubles } = await open(browser, url, { bypass: false });
  assert.equal(await page.title(), "Who survives what");
  assert.match(await page.textContent("#p1-1"), /killed <img.*after 1234 that are left out/s);
  assert.match(await page.textContent("#p1-3"), /No timeline: left no trace <img/);
  assert.equal(await page.locator("#p1-3 .timeline").count(), 0);
  await page.locator("#p1-1 .timeline button").click();
  const frame = page.frameLocator("#p1-1 .timeline iframe");
  await frame.locator('body[data-ready="true"]').waitFor();
  assert.match(await frame.locator("body").textContent(), /1234/);
  assert.deepEqual(troubles, []);
});

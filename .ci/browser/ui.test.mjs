// `lab ui`: a comparison is started, seen and stopped in the browser; nobody without the token gets anything.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { accessible, fits, folder, LAB, launch, open } from "./browser.mjs";
import { results } from "./results.mjs";

const out = join(folder, "ui");
let browser;
let server;
let url;
before(async () => {
  // Two stored results, and one outside of the folder that a link leads to.
  const earlier = join(out, "earlier", "2026-01-01T00-00-00Z");
  mkdirSync(earlier, { recursive: true });
  writeFileSync(join(earlier, "results.json"), JSON.stringify(results()));
  copyFileSync(join(earlier, "results.json"), join(out, "results.json"));
  mkdirSync(join(folder, "outside"));
  copyFileSync(join(earlier, "results.json"), join(folder, "outside", "results.json"));
  symlinkSync(join(folder, "outside"), join(out, "earlier", "link"));
  server = spawn(LAB, ["ui", "--out", out], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: server.stdout })) {
    if (line.startsWith("open ")) {
      url = line.slice(5);
      break;
    }
  }
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server.kill("SIGTERM");
  const [code] = await once(server, "exit");
  assert.equal(code, 0);
});

const visit = async (options) => {
  const opened = await open(browser, url, { origin: new URL(url).origin, ...options });
  await opened.page.waitForFunction(() => /^Nothing runs/.test(document.getElementById("state").textContent));
  await opened.page.waitForSelector("#stored tr");
  return opened;
};

for (const [scheme, width] of [
  ["light", 1280],
  ["dark", 400],
]) {
  test(`the page, ${scheme}, ${width} px wide: axe-core finds nothing; no outside request`, async () => {
    const { page, troubles } = await visit({ scheme, width });
    assert.ok(await fits(page));
    await accessible(page);
    assert.deepEqual(troubles, []);
    await page.context().close();
  });
}

test("the timelines of a stored report open under the server's own content policy", async () => {
  const { page, troubles } = await visit({ bypass: false });
  await page.goto(`${url}report/last`);
  await page.locator("#w0-echo .timeline button").click();
  await page.frameLocator("#w0-echo .timeline iframe").locator('body[data-ready="true"]').waitFor();
  assert.deepEqual(troubles, []);
  await page.context().close();
});

test("two stored results stand side by side", async () => {
  const { page, troubles } = await visit();
  assert.equal(await page.locator("#stored tr").count(), 2);
  await page.check('input[name="left"][value="last"]');
  await page.check('input[name="right"][value="2026-01-01T00-00-00Z"]');
  await page.waitForSelector("#beside .sides svg");
  // Two workloads on two sides; values, ratios and memory of each, and CPU time of the one that is judged by time.
  assert.equal(await page.locator("#beside .sides").count(), 2);
  assert.ok((await page.locator("#beside svg[role=img]").count()) >= 12);
  await accessible(page);
  assert.deepEqual(troubles, []);
  await page.context().close();
});

test("a comparison is measured, shown while it runs, and stored", async () => {
  const { page, troubles } = await visit({ bypass: false });
  await page.locator("fieldset input").evaluateAll((boxes) => boxes.forEach((box) => (box.checked = false)));
  await page.click("#start");
  await page.waitForFunction(() =>
    /choose at least one workload/.test(document.getElementById("refused").textContent),
  );
  // The browser's own line about an answer of 400 is no trouble.
  assert.equal(troubles.splice(0).length, 1);
  await page.check('input[value="yield"]');
  await page.check('input[value="n1"]');
  await page.check('input[value="mn"]');
  await page.fill("#size", "5");
  await page.fill("#rounds", "3");
  await page.click("#start");
  await page.waitForFunction(() => /^Measuring/.test(document.getElementById("state").textContent));
  assert.ok(await page.isDisabled("#start"));
  await page.waitForFunction(() => /The last one is done/.test(document.getElementById("state").textContent), null, {
    timeout: 60_000,
  });
  await page.waitForSelector('#now figure[data-kind="values"] svg');
  assert.match(await page.locator('#now figure[data-kind="values"] svg').getAttribute("aria-label"), /n1.*mn|mn.*n1/);
  await page.waitForFunction(() => document.querySelectorAll("#stored tr").length === 3);
  const report = await page.context().newPage();
  await report.goto(`${url}report/last`);
  assert.match(await report.textContent("h2"), /answer|Decision/);
  assert.deepEqual(troubles, []);
  await page.context().close();
});

test("stopping keeps what was measured", async () => {
  const { page } = await visit();
  await page.fill("#rounds", "1000");
  await page.uncheck("#quick");
  await page.click("#start");
  await page.waitForSelector("#now svg", { timeout: 60_000 });
  await page.waitForFunction(() => /round/.test(document.getElementById("said").textContent));
  await page.click("#stop");
  await page.waitForFunction(
    () => /stopped; what was measured is kept/.test(document.getElementById("state").textContent),
    null,
    { timeout: 60_000 },
  );
  await page.context().close();
});

const status = async (path, options) => (await fetch(new URL(path, url), options)).status;

test("without the token, or outside of the folder, there is nothing", async () => {
  for (const path of ["/", "/events", "/stored", "/0123456789abcdef0123456789abcdef/", "/start"]) {
    assert.equal(await status(path), 403, path);
  }
  assert.equal(await status("/start", { method: "POST", body: "{}" }), 403);
  const { pathname } = new URL(url);
  for (const name of ["link", "..", "../../outside", "%2e%2e%2foutside", "%2fetc%2fpasswd", "none"]) {
    const path = `${pathname}stored/${name}`;
    // The address as it is: `fetch` would tidy it up.
    const answered = await new Promise((done) =>
      get({ ...address(), path }, (answer) => done(answer.resume().statusCode)),
    );
    assert.equal(answered, 404, name);
  }
  assert.equal(await status(`${pathname}start`), 405);
  assert.equal(await status(`${pathname}stored`, { method: "DELETE" }), 405);
});

const address = () => ({ host: new URL(url).hostname, port: new URL(url).port });

test("a hundred browsers listen, leave, and are no trouble", async () => {
  const { pathname } = new URL(url);
  const listening = Array.from(
    { length: 100 },
    () =>
      new Promise((done, fail) => {
        const request = get({ ...address(), path: `${pathname}events`, agent: false }, (answer) =>
          answer.once("data", (text) => {
            request.destroy();
            done(String(text));
          }),
        );
        request.once("error", fail);
      }),
  );
  for (const text of await Promise.all(listening)) assert.match(text, /^id: \d+\ndata: \{/);
  assert.equal(await status(pathname), 200);
});

test("a port in use is one line", async () => {
  const other = spawn(LAB, ["ui", "--addr", new URL(url).host, "--out", out], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said = [];
  other.stderr.on("data", (text) => said.push(text));
  const [code] = await once(other, "close");
  assert.equal(code, 1);
  assert.match(Buffer.concat(said).toString(), /^lab: --addr .*: the port is in use: [^\n]*\n$/);
});

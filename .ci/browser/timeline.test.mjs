// The page of timelines: it draws what the trace says, and mouse, keys and search do what they promise.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { accessible, fits, launch, made, open } from "./browser.mjs";
import { followed, large, small } from "./traces.mjs";

let browser;
let url;
before(async () => {
  url = pathToFileURL(made("small", small())).href;
  browser = await launch();
});
after(() => browser?.close());

async function timeline(options, at = url) {
  const opened = await open(browser, at, options);
  await opened.page.waitForFunction(() => document.body.dataset.ready === "true");
  return opened;
}

/** How many pixels of the canvas have a colour of the style sheet. */
function coloured(page, name) {
  return page.evaluate((variable) => {
    const canvas = document.getElementById("canvas");
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.body).getPropertyValue(variable);
    probe.fillRect(0, 0, 1, 1);
    const wanted = probe.getImageData(0, 0, 1, 1).data;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4)
      if (data[i] === wanted[0] && data[i + 1] === wanted[1] && data[i + 2] === wanted[2]) count += 1;
    return count;
  }, `--${name}`);
}

const picture = (page) => page.evaluate(() => document.getElementById("canvas").toDataURL());
const shown = (page) => page.textContent("#window");
const said = (page) => page.textContent("#said");

/** Presses keys on the canvas and waits for the frame. */
async function press(page, ...keys) {
  await page.focus("#canvas");
  for (const key of keys) await page.keyboard.press(key);
  await frame(page);
}

const frame = (page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

for (const scheme of ["light", "dark"]) {
  for (const width of [1280, 400]) {
    test(`every model is drawn, ${scheme}, ${width} px wide; axe-core finds nothing; no request`, async () => {
      const { page, troubles } = await timeline({ scheme, width });
      for (const run of ["n1", "mn", "threads"]) assert.ok((await coloured(page, `run-${run}`)) > 300, run);
      assert.ok((await coloured(page, "queued")) > 100);
      assert.ok(await fits(page));
      await accessible(page);
      await press(page, "ArrowDown", "ArrowDown", ".");
      await accessible(page);
      assert.deepEqual(troubles, []);
    });
  }
}

test("names with markup are text, and the content policy lets the page work", async () => {
  const { page, troubles } = await timeline({ bypass: false });
  assert.match(await page.title(), /^Timeline of <\/title><script>/);
  await page.fill("#search", "<img");
  assert.equal(await page.textContent("#matches"), "1 of 12 tasks");
  await page.press("#search", "Enter");
  await frame(page);
  assert.match(await page.textContent("#story h2"), /^<img src=x/);
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(troubles, []);
});

test("dropped events are said above the picture and beside a story", async () => {
  const { page } = await timeline();
  const warning = await page.textContent("#warnings");
  assert.match(warning, /^mn: 1,234 events were dropped/);
  assert.doesNotMatch(warning, /n1: |threads: /);
  await press(page, "ArrowDown", "r");
  assert.match(await page.textContent("#story"), /, mn.*not the whole story/s);
  await press(page, "r");
  assert.doesNotMatch(await page.textContent("#story"), /not the whole story/);
});

test("keys zoom, pan and fit", async () => {
  const { page } = await timeline();
  const whole = await shown(page);
  const before = await picture(page);
  await press(page, "+");
  const zoomed = await shown(page);
  assert.notEqual(zoomed, whole);
  assert.notEqual(await picture(page), before);
  await press(page, "ArrowRight");
  assert.notEqual(await shown(page), zoomed);
  await press(page, "ArrowLeft");
  assert.equal(await shown(page), zoomed);
  await press(page, "0");
  assert.equal(await shown(page), whole);
  assert.equal(await picture(page), before);
});

test("the wheel with Ctrl zooms, and dragging pans", async () => {
  const { page } = await timeline();
  const box = await page.locator("#canvas").boundingBox();
  await page.mouse.move(box.x + 700, box.y + 200);
  const whole = await shown(page);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -600);
  await page.keyboard.up("Control");
  await page.waitForFunction((old) => document.getElementById("window").textContent !== old, whole);
  const zoomed = await shown(page);
  await page.mouse.down();
  await page.mouse.move(box.x + 500, box.y + 200, { steps: 4 });
  await page.mouse.up();
  await frame(page);
  assert.notEqual(await shown(page), zoomed);
});

test("a step goes from event to event, there and back, and says each", async () => {
  const { page } = await timeline();
  await press(page, "ArrowDown", "ArrowDown");
  const heard = [];
  for (let k = 0; k < 4; k += 1) {
    await press(page, ".");
    heard.push(await said(page));
  }
  assert.match(heard[0], /^n1, 40 ns: fetch #1 spawned by root$/);
  assert.equal(new Set(heard).size, 4);
  await press(page, ",", ",", ",");
  assert.equal(await said(page), heard[0]);
  await press(page, ",");
  assert.match(await said(page), /No event further/);
});

test("what a run from outside does not tell is said, and rare events are in words", async () => {
  const { page } = await timeline({}, pathToFileURL(made("followed", followed())).href);
  assert.match(await page.textContent("#warnings"), /tokio-mt does not tell the recorder of: queues, steals\./);
  const heard = [];
  for (let k = 0; k < 6; k += 1) {
    await press(page, ".");
    heard.push(await said(page));
  }
  assert.match(heard[3], /: parent uses the outcome of child, which was there$/);
  assert.match(heard[4], /the kernel took tokio-worker off the CPU 2 times, because it waited$/);
});

test("the same task is found under each model", async () => {
  const { page } = await timeline();
  await press(page, "ArrowDown", "ArrowDown", "ArrowDown");
  for (const model of ["n1", "mn", "threads"]) {
    assert.match(await page.textContent("#story h2"), new RegExp(`^fetch #2, ${model}$`));
    await press(page, "r");
  }
});

test("threads are lanes, and rows may be grouped by task", async () => {
  const { page } = await timeline();
  const tasks = await picture(page);
  await page.check("input[value=task]");
  await frame(page);
  const grouped = await picture(page);
  assert.notEqual(grouped, tasks);
  await press(page, "t", "ArrowDown");
  assert.notEqual(await picture(page), grouped);
  assert.match(await page.textContent("#story h2"), /^n1-worker-0, n1$/);
  assert.ok((await coloured(page, "park")) > 20);
  await press(page, "t");
  assert.ok(await page.isChecked("input[value=tasks]"));
});

test("the pointer tells what is under it", async () => {
  const { page } = await timeline();
  const box = await page.locator("#canvas").boundingBox();
  await page.mouse.move(box.x + 40, box.y + 85);
  await page.waitForSelector("#tip:not([hidden])");
  assert.match(await page.textContent("#tip"), /n1.*Spawned: /s);
  await page.mouse.move(box.x + 40, box.y - 20);
  await page.waitForSelector("#tip", { state: "hidden" });
});

test("playing moves the cursor and stops at the end", async () => {
  const { page } = await timeline();
  await page.selectOption("#speed", "10000");
  const start = await shown(page);
  await press(page, " ");
  assert.equal(await page.getAttribute("#play", "aria-pressed"), "true");
  await page.waitForFunction((old) => document.getElementById("window").textContent !== old, start);
  await page.selectOption("#speed", "1000000000");
  await page.waitForFunction(() => document.getElementById("play").getAttribute("aria-pressed") === "false");
  assert.match(await shown(page), /cursor at 189 µs/);
});

test("without arrows none is drawn", async () => {
  const { page } = await timeline();
  const before = await coloured(page, "ink");
  await page.uncheck("#arrows");
  await frame(page);
  assert.ok((await coloured(page, "ink")) < before);
});

test("the critical path of complete runs is drawn on demand", async () => {
  const { page } = await timeline();
  const before = await coloured(page, "chosen");
  await page.check("#path");
  await frame(page);
  assert.ok((await coloured(page, "chosen")) > before + 50);
});

test("120,000 events in 1,200 tasks open, scroll and find their last task", async () => {
  const { page, troubles } = await timeline({}, pathToFileURL(made("large", large(120_000, 1_200))).href);
  await page.fill("#search", "task 6 #171");
  assert.match(await page.textContent("#matches"), /^1 of 1,200 tasks$/);
  await page.press("#search", "Enter");
  await frame(page);
  assert.match(await page.textContent("#story h2"), /^task 6 #171, n1$/);
  assert.deepEqual(troubles, []);
});

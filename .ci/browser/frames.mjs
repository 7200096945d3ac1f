// How many frames a second the page of timelines draws with 1,000,000 events, here and now, and the CPU time that its
// main thread takes for one. Figures to read, and no test: the first depends on what else the machine does.

import { pathToFileURL } from "node:url";
import { launch, made, open } from "./browser.mjs";
import { large } from "./traces.mjs";

const FRAMES = 120;

const url = pathToFileURL(made("million", large(1_000_000, 300))).href;
const browser = await launch();
const { page } = await open(browser, url);
await page.waitForFunction(() => document.body.dataset.ready === "true", null, { timeout: 120_000 });

const devtools = await page.context().newCDPSession(page);
await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
/** CPU time of the main thread so far, in milliseconds. */
const cpu = async () => {
  const { metrics } = await devtools.send("Performance.getMetrics");
  return 1000 * metrics.find((one) => one.name === "TaskDuration").value;
};

/** Turns the wheel once a frame, there and back. */
const measured = (mode, action) =>
  page.evaluate(
    ([mode, action, frames]) =>
      new Promise((done) => {
        const canvas = document.getElementById("canvas");
        document.querySelector(`input[value=${mode}]`).click();
        const box = canvas.getBoundingClientRect();
        const times = [];
        let last = performance.now();
        const step = (now) => {
          times.push(now - last);
          last = now;
          if (times.length === frames) {
            const total = times.reduce((sum, time) => sum + time, 0);
            done({ mean: (1000 * frames) / total, worst: Math.max(...times) });
            return;
          }
          const there = times.length < frames / 2 ? 1 : -1;
          const turn = {
            zoom: { ctrlKey: true, deltaY: -80 * there },
            pan: { shiftKey: true, deltaY: 8 * there },
            scroll: { deltaY: 30 * there },
          };
          const place = {
            bubbles: true,
            cancelable: true,
            clientX: box.left + box.width * 0.6,
            clientY: box.top + 200,
          };
          canvas.dispatchEvent(new WheelEvent("wheel", { ...place, ...turn[action] }));
          requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
      }),
    [mode, action, FRAMES],
  );

for (const mode of ["tasks", "threads"]) {
  for (const action of ["zoom", "pan", "scroll"]) {
    const before = await cpu();
    const { mean, worst } = await measured(mode, action);
    const each = (await cpu()) - before;
    console.log(
      `1,000,000 events, ${mode}, ${action}: ${mean.toFixed(1)} frames a second, ` +
        `the longest frame ${worst.toFixed(1)} ms; ${(each / FRAMES).toFixed(1)} ms of CPU time each`,
    );
  }
}
await browser.close();

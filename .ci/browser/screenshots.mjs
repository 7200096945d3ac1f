// Screenshots, compared with references that hold for every Chromium: each element is shrunk, and small squares of it
// are compared by their mean colour. Letters that are drawn a little differently make no difference; a bar that is
// missing does.
//
// The references are in `screenshots/`, a sheet for each page, scheme and width. `LAB_SCREENSHOTS=renew` writes them
// anew; look at them before they are committed.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { folder } from "./browser.mjs";

const REFERENCES = process.env.LAB_SCREENSHOT_FOLDER ?? "screenshots";
const RENEW = process.env.LAB_SCREENSHOTS === "renew";

/** Each element of a sheet takes so many pixels, whatever its size was. */
const SLOT = { width: 192, height: 96 };
/** Squares that are compared, in pixels. */
const SQUARE = 6;
/** What the mean colours of a square may differ by, of 255. Letters that are drawn otherwise stay below. */
const MOST = 40;
/** So many squares of a sheet may differ by more. */
const FEW = 1;
/** What all pixels may differ by in the mean. */
const MOST_IN_ALL = 4;

/** Same letters everywhere, and nothing that moves. */
const STILL = `
  * { font-family: "DejaVu Sans", sans-serif !important; animation: none !important; transition: none !important; }
  html { scroll-behavior: auto !important; }`;

/** To be called before anything is drawn. */
export async function still(page) {
  await page.addInitScript((css) => {
    const add = () => {
      const style = document.createElement("style");
      style.textContent = css;
      document.head.append(style);
    };
    if (document.head) add();
    else document.addEventListener("readystatechange", add, { once: true });
  }, STILL);
}

/** Fails where the font is missing that the references were made with: lines would break elsewhere. */
export async function hasFont(page) {
  const [own, other] = await page.evaluate(() => {
    const context = new OffscreenCanvas(10, 10).getContext("2d");
    return ['"DejaVu Sans", monospace', "monospace"].map((font) => {
      context.font = `20px ${font}`;
      return context.measureText("Which is wider, ill or WWW?").width;
    });
  });
  assert.notEqual(own, other, "DejaVu Sans is missing: apt-get install fonts-dejavu-core");
}

/** A sheet of these elements, as the data URL of a PNG. */
export async function sheet(page, locators) {
  const shots = [];
  for (const locator of locators) {
    const shot = await locator.screenshot({ animations: "disabled" });
    shots.push(`data:image/png;base64,${shot.toString("base64")}`);
  }
  const blank = await page.context().newPage();
  const made = await blank.evaluate(
    async ([shots, slot]) => {
      const canvas = document.createElement("canvas");
      canvas.width = slot.width;
      canvas.height = slot.height * shots.length;
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      for (const [index, shot] of shots.entries()) {
        const image = new Image();
        image.src = shot;
        await image.decode();
        context.drawImage(image, 0, index * slot.height, slot.width, slot.height);
      }
      return canvas.toDataURL("image/png");
    },
    [shots, SLOT],
  );
  await blank.close();
  return made;
}

/** What of two sheets differs, in words; empty if they are alike. */
export async function differences(page, one, other) {
  const blank = await page.context().newPage();
  const found = await blank.evaluate(
    async ([one, other, slot, square, most, few, mostInAll]) => {
      const pixels = async (url) => {
        const image = new Image();
        image.src = url;
        await image.decode();
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, image.width, image.height);
      };
      const [left, right] = [await pixels(one), await pixels(other)];
      if (left.width !== right.width || left.height !== right.height)
        return [`${left.width} x ${left.height} pixels against ${right.width} x ${right.height}`];
      const said = [];
      let total = 0;
      for (let top = 0; top < left.height; top += square) {
        for (let start = 0; start < left.width; start += square) {
          const sums = [0, 0, 0];
          for (let y = top; y < top + square; y += 1) {
            for (let x = start; x < start + square; x += 1) {
              for (let channel = 0; channel < 3; channel += 1) {
                const at = 4 * (y * left.width + x) + channel;
                sums[channel] += left.data[at] - right.data[at];
                total += Math.abs(left.data[at] - right.data[at]);
              }
            }
          }
          const worst = Math.max(...sums.map((sum) => Math.abs(sum) / square ** 2));
          if (worst > most)
            said.push(`element ${Math.floor(top / slot.height)} at ${start}, ${top % slot.height}: ${worst.toFixed()}`);
        }
      }
      if (said.length <= few) said.length = 0;
      const mean = total / (left.width * left.height * 3);
      if (mean > mostInAll) said.push(`all pixels: ${mean.toFixed(1)} in the mean`);
      return said;
    },
    [one, other, SLOT, SQUARE, MOST, FEW, MOST_IN_ALL],
  );
  await blank.close();
  return found;
}

const bytes = (url) => Buffer.from(url.slice(url.indexOf(",") + 1), "base64");

/** Fails if these elements do not look as they did when the reference `name` was written. */
export async function looksAsBefore(page, name, locators) {
  const now = await sheet(page, locators);
  const path = join(REFERENCES, `${name}.png`);
  if (RENEW) {
    mkdirSync(REFERENCES, { recursive: true });
    writeFileSync(path, bytes(now));
    return;
  }
  assert.ok(existsSync(path), `${path} is missing; LAB_SCREENSHOTS=renew writes it`);
  const before = `data:image/png;base64,${readFileSync(path).toString("base64")}`;
  const found = await differences(page, before, now);
  if (found.length > 0) {
    const seen = join(folder, `${name}.png`);
    writeFileSync(seen, bytes(now));
    const some = found.slice(0, 8).join("; ");
    assert.fail(`${name} looks different: ${some}. Compare ${path} with ${seen}; LAB_SCREENSHOTS=renew accepts it.`);
  }
}

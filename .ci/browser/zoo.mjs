// An invented table of the zoo for the tests: cells that survive, cells that fail with and without a timeline, and text
// that looks like markup.

import { deflateRawSync } from "node:zlib";
import { small } from "./traces.mjs";

const MARKUP = "<img src=x onerror=document.title='broken'>";

function timeline(pathology, runtime, run) {
  const packed = run && deflateRawSync(JSON.stringify({ ...run, runtime })).toString("base64");
  return { pathology, runtime, deflate_base64: packed ?? null, note: run ? "0 echoes" : `left no trace ${MARKUP}` };
}

export function zoo() {
  const survives = { verdict: "survives", value: 10 };
  const fails = { verdict: "fails", value: 0, why: null };
  const row = (name, cells) => ({
    name,
    measured: "echoes beside tasks that compute",
    about: `A task computes and never yields. ${MARKUP}`,
    bound: "at least 10 echoes",
    unit: "echoes",
    size: 10,
    issue: "https://github.com/golang/go/issues/10958",
    cells,
  });
  const [one, dropped, threads] = small().runs;
  return {
    schema: "lab.zoo/1",
    workers: 2,
    quick: true,
    runtimes: ["n1", "mn", "threads", "go"].map((name) => ({ name, version: null, ours: name !== "go" })),
    pathologies: [
      row("endless-poll", { n1: fails, mn: survives, threads: survives, go: survives }),
      row(`herd ${MARKUP}`, {
        n1: survives,
        mn: { verdict: "fails", value: null, why: `killed ${MARKUP}` },
        threads: fails,
        go: fails,
      }),
      row("queue", { n1: survives, mn: survives, threads: survives, go: { verdict: "cannot_run", why: MARKUP } }),
    ],
    timelines: [
      timeline("endless-poll", "n1", one),
      timeline(`herd ${MARKUP}`, "mn", dropped),
      timeline(`herd ${MARKUP}`, "threads", threads),
      timeline(`herd ${MARKUP}`, "go", null),
    ],
  };
}

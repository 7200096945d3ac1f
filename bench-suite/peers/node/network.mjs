// Servers and clients, with unmodified node:net and node:http.

import { access, rename, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { nextOrder, say } from "./lab.mjs";
import { Queue } from "./scheduling.mjs";

const BODY = "Hello, world!\n";
const WORKERS = 10;

let state = 0;

/** Repeatedly computes for 100 ms without a pause and sleeps for 10 ms. */
async function cpuBoundTask() {
  for (;;) {
    for (const begun = performance.now(); performance.now() - begun < 100; ) {
      for (let i = 0; i < 1000; i++) state = (Math.imul(state, 0x4c957f2d) + 1) | 0;
    }
    await sleep(10);
  }
}

export async function serve(workload, { hogs = 0 }) {
  const server =
    workload === "http"
      ? http.createServer((request, response) => {
          request.resume();
          response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", "Content-Length": BODY.length });
          response.end(BODY);
        })
      : net.createServer({ noDelay: true }, (socket) => {
          socket.on("error", () => socket.destroy());
          // Not pipe(), because its back-pressure costs more than it gains for small messages.
          socket.on("data", (data) => socket.write(data));
        });
  await new Promise((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 16384 }, resolve));
  const { address, port } = server.address();
  say({ type: "listening", address: `${address}:${port}`, workers: 1 });
  for (let i = 0; i < hogs; i++) cpuBoundTask();
  while ((await nextOrder()) !== null);
  process.exit(0);
}

function get(agent, url, signal) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent, signal }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks));
        else reject(new Error(`${url}: ${response.statusCode}`));
      });
    });
    request.on("error", reject);
  });
}

export async function crawl({ size, at_once }, site) {
  // A new connection per page, as in the workload. An agent could limit their number, but the loop below is the usual
  // way to limit work.
  const agent = new http.Agent({ keepAlive: false });
  let next = 0;
  let answer = 0;
  let now = 0;
  let most = 0;
  const crawler = async () => {
    while (next < size) {
      const index = next++;
      now += 1;
      most = Math.max(most, now);
      const body = await get(agent, `http://${site}/${index}`);
      now -= 1;
      let sum = 0;
      for (const byte of body) sum += byte;
      answer += sum * (index + 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(size, at_once) }, crawler));
  return { ops: size, answer, most_at_once: most };
}

function urlOf(site, index) {
  switch (index % 100) {
    case 13:
      return `http:/${index}`;
    case 57:
      return `http://127.0.0.1:1/${index}`;
    case 83:
      return `http://${site}/missing/${index}`;
    default:
      return `http://${site}/${index}`;
  }
}

/** WHATWG's URL parses `http:/13` as a host named 13, but in the list it is not a URL. */
function checked(url) {
  if (!url.startsWith("http://")) throw new Error(`${url}: no host`);
  return url;
}

export async function download({ size, timeout_ms }, site, folder) {
  const queue = new Queue(1000);
  const agent = new http.Agent({ keepAlive: true, maxSockets: WORKERS });
  let saved = 0;
  let bad = 0;
  let there = 0;
  const produce = async () => {
    for (let index = 0; index < size; index++) {
      const path = join(folder, String(index));
      const exists = await access(path).then(() => true, () => false);
      if (exists) there += 1;
      else await queue.put({ url: urlOf(site, index), path });
    }
    for (let i = 0; i < WORKERS; i++) await queue.put(null);
  };
  const work = async () => {
    for (let job = await queue.get(); job !== null; job = await queue.get()) {
      try {
        const body = await get(agent, checked(job.url), AbortSignal.timeout(timeout_ms));
        await writeFile(job.path + ".partial", body);
        await rename(job.path + ".partial", job.path);
        saved += 1;
      } catch {
        bad += 1;
      }
    }
  };
  await Promise.all([produce(), ...Array.from({ length: WORKERS }, work)]);
  agent.destroy();
  return { ops: saved + bad + there, answer: saved, bad };
}

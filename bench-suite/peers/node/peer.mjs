// Node.js under the lab's workloads.
//
// This follows Node's own guides: promises and async functions, `Promise.all`, timers/promises, unmodified `node:http`,
// an agent with keep-alive for many requests to one host, never blocking the loop. The guides say that worker threads
// are for computing and not for I/O, and tasks can't move between threads. Everything therefore runs on one thread, as
// in a Node server. Several processes under `node:cluster` would be another peer.

import { fail, nextOrder, serveOrders } from "./lab.mjs";
import * as network from "./network.mjs";
import * as scheduling from "./scheduling.mjs";

process.on("unhandledRejection", (error) => fail("crashed", error));

const { workload, params, seed, site } = await nextOrder();
const kept = [];

const batches = {
  spawn: () => scheduling.spawn(params),
  "spawn-batch": () => scheduling.spawnBatch(params),
  yield: () => scheduling.yieldTogether(params),
  pingpong: () => scheduling.pingpong(params),
  "skynet-spawn": () => scheduling.skynet(params),
  mpmc: () => scheduling.mpmc(params),
  "mutex-contended": () => scheduling.mutex(params),
  timers: () => scheduling.timers(params, seed),
  idle: () => scheduling.idle(params, kept),
  "idle-timer": () => scheduling.idle(params, kept, setTimeout),
  crawl: () => network.crawl(params, site),
  download: ({ folder }) => network.download(params, site, folder),
};

if (["echo", "http", "mixed"].includes(workload)) {
  await network.serve(workload, params);
} else if (workload === "fib-spawn") {
  const ops = scheduling.forks(params.size);
  await serveOrders(() => scheduling.fib(params, ops));
} else if (batches[workload]) {
  await serveOrders(batches[workload]);
} else {
  fail("refused", `no ${workload} here`);
}

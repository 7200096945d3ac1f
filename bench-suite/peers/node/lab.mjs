// The conversation with the lab: lab.child/1 in lines of JSON over standard input and output. While this process waits
// here for the next order, the lab reads what it has used.

import { createInterface } from "node:readline";
import { writeSync } from "node:fs";

const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })[Symbol.asyncIterator]();

/** The next line, or null if the lab says stop or is gone. */
export async function nextOrder() {
  const { value, done } = await lines.next();
  if (done) return null;
  const order = JSON.parse(value);
  return order.type === "stop" ? null : order;
}

/** Writes synchronously, because Node would defer a write to a pipe. */
export function say(word) {
  let rest = Buffer.from(JSON.stringify(word) + "\n");
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

export function fail(status, error) {
  say({ type: "failure", status, error: String(error?.message ?? error) });
  process.exit(0);
}

/** Executes orders: `run(order)` does the work once and resolves to { ops, answer, ...more fields }. */
export async function serveOrders(run) {
  say({ type: "ready", workers: 1 });
  for (let order = await nextOrder(); order !== null; order = await nextOrder()) {
    let ops = 0;
    let answer = 0;
    let more = {};
    const begun = process.hrtime.bigint();
    for (let i = 0; i < order.repetitions; i++) {
      let outcome;
      ({ ops: outcome, ...more } = await run(order));
      ops += outcome;
      answer += more.answer;
    }
    const wall_ns = Number(process.hrtime.bigint() - begun);
    const { late_ms, ...told } = more;
    say({ type: "done", ...told, ops, wall_ns, answer });
    // In a separate line, so that formatting it is not part of the work.
    if (late_ms) say({ type: "late", late_ns: late_ms.map((late) => Math.round(late * 1e6)) });
  }
  process.exit(0);
}

/** A seeded generator of numbers from 0 to 1: mulberry32. */
export function randoms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
}

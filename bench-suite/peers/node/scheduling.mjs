// Pure scheduling, recursion, locks and queues.
//
// JavaScript has no tasks to spawn. An async function runs immediately until its first await, and returns a promise. A
// "task" here is therefore a call of an async function that first lets the loop run, with `await null`, as programs do
// that must not start immediately. There are no channels, queues or locks either. Those below are the short ones that
// people write with promises.

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { randoms } from "./lab.mjs";

const BATCH = 100;

async function number(n) {
  await null;
  return n;
}

async function spawnAndJoin(begin, end) {
  const tasks = [];
  for (let n = begin; n < end; n++) tasks.push(number(n));
  let sum = 0;
  for (const result of await Promise.all(tasks)) sum += result;
  return sum;
}

export async function spawn({ size }) {
  return { ops: size, answer: await spawnAndJoin(0, size) };
}

export async function spawnBatch({ size }) {
  let answer = 0;
  for (let begin = 0; begin < size; begin += BATCH) {
    answer += await spawnAndJoin(begin, Math.min(size, begin + BATCH));
  }
  return { ops: size, answer };
}

/** Yields to the loop with setImmediate. A promise alone would not let sockets and timers run. */
async function yieldTimes(yields) {
  for (let i = 0; i < yields; i++) await turn();
  return yields;
}

export async function yieldTogether({ size, yields }) {
  const tasks = Array.from({ length: size }, () => yieldTimes(yields));
  let done = 0;
  for (const times of await Promise.all(tasks)) done += times;
  return { ops: done, answer: done };
}

/** A bounded queue for any number of tasks. */
class Queue {
  #items = [];
  #head = 0;
  #getters = [];
  #putters = [];
  constructor(capacity) {
    this.capacity = capacity;
  }

  async put(item) {
    while (this.#items.length - this.#head >= this.capacity) {
      await new Promise((resolve) => this.#putters.push(resolve));
    }
    this.#items.push(item);
    this.#getters.shift()?.();
  }

  async get() {
    while (this.#items.length === this.#head) {
      await new Promise((resolve) => this.#getters.push(resolve));
    }
    const item = this.#items[this.#head++];
    if (this.#head === this.#items.length) {
      this.#items.length = this.#head = 0;
    }
    this.#putters.shift()?.();
    return item;
  }
}

export { Queue };

export async function pingpong({ size }) {
  const there = new Queue(1);
  const back = new Queue(1);
  const pong = (async () => {
    for (let i = 0; i < size; i++) await back.put((await there.get()) + 1);
  })();
  const ping = (async () => {
    let sum = 0;
    for (let n = 0; n < size; n++) {
      await there.put(n);
      const answer = await back.get();
      if (answer !== n + 1) throw new Error(`the answer to ${n} is ${answer}`);
      sum += answer;
    }
    return sum;
  })();
  await pong;
  return { ops: size, answer: await ping };
}

async function skynetNode(first, leaves) {
  await null;
  if (leaves === 1) return first;
  const below = leaves / 10;
  const children = [];
  for (let child = 0; child < 10; child++) children.push(skynetNode(first + child * below, below));
  let sum = 0;
  for (const child of children) sum += await child;
  return sum;
}

export async function skynet({ size }) {
  let nodes = 0;
  for (let level = 0; level <= size; level++) nodes += 10 ** level;
  return { ops: nodes, answer: await skynetNode(0, 10 ** size) };
}

async function fibTasks(n) {
  if (n < 2) return n;
  const child = (async () => {
    await null;
    return fibTasks(n - 1);
  })();
  const here = await fibTasks(n - 2);
  return here + (await child);
}

export function forks(n) {
  return n < 2 ? 0 : 1 + forks(n - 1) + forks(n - 2);
}

export async function fib({ size }, ops) {
  return { ops, answer: await fibTasks(size) };
}

const END = Symbol("end");

export async function mpmc({ size, producers, consumers, capacity, alone }) {
  const queue = new Queue(capacity);
  if (alone) {
    let answer = 0;
    for (let n = 0; n < size; n++) {
      await queue.put(n);
      answer += await queue.get();
    }
    return { ops: size, answer };
  }
  let ops = 0;
  let answer = 0;
  const consume = async () => {
    const next = new Array(producers).fill(0);
    for (let item = await queue.get(); item !== END; item = await queue.get()) {
      if (item.number < next[item.producer]) throw new Error("a producer's items came out of order");
      next[item.producer] = item.number + 1;
      ops += 1;
      answer += item.number;
    }
  };
  const produce = async (producer) => {
    for (let number = 0; number < size; number++) await queue.put({ producer, number });
  };
  const consuming = Array.from({ length: consumers }, consume);
  await Promise.all(Array.from({ length: producers }, (_, producer) => produce(producer)));
  for (let i = 0; i < consumers; i++) await queue.put(END);
  await Promise.all(consuming);
  return { ops, answer };
}

/** A lock that is handed over first come, first served. */
class Mutex {
  #locked = false;
  #waiting = [];

  async lock() {
    if (this.#locked) await new Promise((resolve) => this.#waiting.push(resolve));
    this.#locked = true;
  }

  unlock() {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#locked = false;
  }
}

export async function mutex({ size, tasks, held }) {
  const lock = new Mutex();
  let counter = 0;
  const work = async () => {
    for (let i = 0; i < size; i++) {
      await lock.lock();
      try {
        for (let j = 0; j < held; j++) await turn();
        counter += 1;
      } finally {
        lock.unlock();
      }
    }
  };
  await Promise.all(Array.from({ length: tasks }, work));
  return { ops: size * tasks, answer: counter };
}

export async function timers({ size, span_ms }, seed) {
  const random = randoms(seed);
  const sleeper = async (deadline) => {
    // Node's timers count whole milliseconds. Round up, so that they are late and not early.
    await sleep(Math.ceil(deadline - performance.now()));
    return performance.now() - deadline;
  };
  const sleepers = Array.from({ length: size }, () => sleeper(performance.now() + random() * span_ms));
  const late_ms = await Promise.all(sleepers);
  return { ops: size, answer: size, late_ms };
}

/** Tasks that wait for something that never happens, or for an hour if `timer` sets a timer. */
export async function idle({ size }, kept, timer = () => {}) {
  const hour_ms = 3_600_000;
  const wait = async (begun) => {
    begun();
    await new Promise((resolve) => timer(resolve, hour_ms));
  };
  let missing = size;
  await new Promise((resolve) => {
    const begun = () => {
      missing -= 1;
      if (missing === 0) resolve();
    };
    for (let i = 0; i < size; i++) kept.push(wait(begun));
  });
  return { ops: size, answer: size };
}

// The zoo under Node.js. The arguments are the pathology, its size and the workers; the output is lines of JSON.
// src/zoo/pathologies describes the programs, and src/zoo/client.rs describes the server's answers.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

const HELD_MS = 2000;
const CHUNK = Buffer.alloc(64 * 1024);
const CHUNKS = 4096;

const say = (word) => process.stdout.write(JSON.stringify(word) + '\n');

function compute(milliseconds) {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

function block(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function resident() {
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
}

let streamed = 0;

async function stream(socket) {
  for (let i = 0; i < CHUNKS && !socket.destroyed; i++) {
    if (!socket.write(CHUNK)) await once(socket, 'drain');
    streamed += 64;
  }
}

// A settled promise is Node's form of a ready task. This one is always ready.
async function alwaysReady() {
  for (;;) await null;
}

function answer(socket) {
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    for (const byte of bytes) {
      const letter = String.fromCharCode(byte);
      if (letter === 's') {
        stream(socket).catch(() => {});
        continue;
      }
      socket.write(letter === 'c' ? `${streamed}\n` : letter);
      if (letter === 'h' || letter === 'b') {
        if (letter === 'h') compute(HELD_MS);
        else block(HELD_MS);
        socket.write('d');
      } else if (letter === 'y') {
        alwaysReady();
      }
    }
  });
}

async function serve() {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1', () => say({ listening: server.address().port }));
  await once(server, 'close');
}

const programs = {
  async 'idle-wakeups'(size) {
    await sleep(100);
    const before = process.cpuUsage();
    for (let i = 0; i < size; i++) await sleep(1);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / size;
  },

  async 'lifo-chain'() {
    let passes = 0;
    let over = false;
    const begun = performance.now();
    const balls = [() => {}, () => {}];
    async function play(me) {
      while (!over && performance.now() < begun + 3000) {
        const ball = new Promise((resolve) => (balls[me] = resolve));
        passes++;
        balls[1 - me]();
        await ball;
      }
      balls[1 - me]();
    }
    play(0);
    play(1);
    return new Promise((resolve) => {
      Promise.resolve().then(() => {
        over = true;
        resolve(passes);
      });
    });
  },

  async 'lifo-hostage'(size) {
    let free = 0;
    for (let i = 0; i < size; i++) {
      let call;
      let ran = false;
      const waiting = new Promise((resolve) => (call = resolve)).then(() => (ran = true));
      await sleep(1);
      call();
      for (const end = performance.now() + 500; !ran && performance.now() < end; );
      free += Number(ran);
      await waiting;
    }
    return free;
  },

  async 'panic-storm'(size) {
    async function fail() {
      await null;
      throw new Error('on purpose');
    }
    let reported = 0;
    for (let i = 0; i < size / 100; i++) {
      const outcomes = await Promise.allSettled(Array.from({ length: 100 }, fail));
      reported += outcomes.filter((outcome) => outcome.reason?.message === 'on purpose').length;
    }
    await sleep(1);
    return reported;
  },

  // A promise can't be cancelled.
  async 'await-chain'(size) {
    const link = async (before) => 1 + (await before);
    let start;
    let last = new Promise((resolve) => (start = resolve));
    for (let i = 0; i < size; i++) last = link(last);
    await sleep(1);
    start(0);
    return last;
  },

  async 'cancelled-timers'(size) {
    async function setAndCancel(count) {
      for (let i = 0; i < count; i++) {
        clearTimeout(setTimeout(say, 3600_000));
        if (i % 1000 === 0) await sleep(0);
      }
    }
    await setAndCancel(10_000);
    const before = resident();
    await setAndCancel(size);
    return Math.max(resident() - before, 0) / size;
  },

  async 'queue-bound'(size) {
    const queue = new PassThrough({ objectMode: true });
    let taken = 0;
    (async () => {
      for (let i = 0; i < size; i++) {
        if (!queue.write(i)) await once(queue, 'drain');
        taken++;
      }
    })();
    for (let before = 0; ; before = taken) {
      await sleep(100);
      if (taken === before && taken > 0) return taken;
    }
  },
};

const [name, size, workers] = process.argv.slice(2);
const program = programs[name];
if (program) {
  say({ value: await program(Number(size), Number(workers)) });
  process.exit(0);
}
await serve();

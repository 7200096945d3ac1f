// A fault that Node.js had, for the time machine. The arguments are the fault and its size; the output is a line of
// JSON.
'use strict';

if (process.argv[2] !== 'microtask-order') throw new Error('no fault ' + process.argv[2]);
const size = Number(process.argv[3]);

// `size` timers, all due at once. The first one settles a promise. How many more run before its reaction?
let timers = 0;
let seen = null;
for (let i = 0; i < size; i++) {
  setTimeout(() => {
    timers++;
    if (timers === 1) Promise.resolve().then(() => (seen = timers - 1));
    if (timers === size) setTimeout(() => console.log(JSON.stringify({ value: seen })), 1);
  }, 5);
}
// Wait until all of them are due.
for (const end = Date.now() + 30; Date.now() < end; );

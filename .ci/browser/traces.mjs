// Traces that are made up, for the tests: small ones with everything in them, and large ones.
// The format is that of `bench-suite/src/trace/format.rs`.

/** A generator of numbers in [0, 1) that gives the same ones every time. */
function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * One run: `tasks` tasks on `workers` threads (0: a thread for each task), each polled again and again, woken by
 * another task or a timer. About `events` events.
 */
function run(
  runtime,
  { workers, tasks, events, dropped = 0, seed = 1, name = (task) => (task === 0 ? "root" : `task ${task % 7}`) },
) {
  const random = seeded(seed);
  const rows = [];
  const push = (t, thread, kind, task = -1, a = -1, b = -1) => rows.push([Math.round(t), thread, kind, task, a, b]);
  const lanes = workers > 0 ? workers : tasks;
  const free = new Array(lanes).fill(0);
  const parked = new Array(lanes).fill(false);
  const ready = new Array(tasks).fill(0);
  for (let task = 0; task < tasks; task += 1) {
    const at = task * 40;
    push(at, 0, 0, task, task === 0 ? -1 : 0);
    push(at + 5, 0, 1, task, 0, 1);
    ready[task] = at + 5;
  }
  let task = 0;
  while (rows.length < events - tasks * 2) {
    task = random() < 0.7 ? (task + 1) % tasks : Math.floor(random() * tasks);
    const lane = workers > 0 ? Math.floor(random() * workers) : task;
    const begin = Math.max(free[lane], ready[task]) + 20 + random() * 60;
    if (parked[lane]) push(begin - 10, lane, 7);
    parked[lane] = false;
    if (workers > 1 && random() < 0.08)
      push(begin - 5, lane, 5, -1, (lane + 1) % workers, 1 + Math.floor(random() * 4));
    push(begin, lane, 2, task);
    const ends = begin + 100 + random() * random() * 5000;
    const other = Math.floor(random() * tasks);
    const cause = random() < 0.8 ? 0 : 1;
    push(begin + (ends - begin) * 0.7, lane, 4, other, cause === 0 ? task : -1, cause);
    push(begin + (ends - begin) * 0.71, lane, 1, other, lane, 2);
    ready[other] = Math.max(ready[other], begin + (ends - begin) * 0.71);
    if (random() < 0.02) {
      push(begin + (ends - begin) * 0.2, lane, 14, task, 3, 0);
      push(begin + (ends - begin) * 0.5, lane, 15, task, 3, 0);
    }
    push(ends, lane, 3, task, random() < 0.9 ? 0 : 2);
    ready[task] = Math.max(ready[task], ends);
    free[lane] = ends;
    if (random() < 0.1) {
      push(ends + 10, lane, 8);
      push(ends + 200, lane, 6, -1, random() < 0.5 ? 0 : 1);
      parked[lane] = true;
      free[lane] = ends + 1500;
    }
  }
  const last = Math.max(...free);
  for (let one = 0; one < tasks; one += 1) push(last + one, workers > 0 ? 0 : one, 18, one, 0);
  rows.sort((one, other) => one[0] - other[0]);
  const column = (index) => rows.map((row) => row[index]);
  return {
    runtime,
    config: { workers },
    wall_ns: Math.round(last + tasks),
    dropped,
    threads: free.map((_, id) => ({
      id,
      name: `${runtime}-${workers > 0 ? "worker" : "task"}-${id}`,
      kind: workers > 0 ? "worker" : "task",
    })),
    tasks:
      free.length >= 0 &&
      Array.from({ length: tasks }, (_, id) => ({
        id,
        name: name(id),
        parent: id === 0 ? null : 0,
        site: `src/program.rs:${10 + (id % 5)}`,
      })),
    events: { t_ns: column(0), thread: column(1), kind: column(2), task: column(3), a: column(4), b: column(5) },
  };
}

function trace(workload, runs) {
  return { schema: "lab.trace/1", workload, params: { size: 1 }, runs };
}

/** Three models, a few hundred events, a run with dropped events and a name that is markup. */
export function small() {
  const name = (task) => (task === 0 ? "root" : task === 3 ? "<img src=x onerror=document.title='broken'>" : `fetch`);
  const of = { tasks: 12, events: 600, name };
  return trace("</title><script>document.title='broken'</script>", [
    run("n1", { ...of, workers: 1 }),
    run("mn", { ...of, workers: 2, seed: 2, dropped: 1234 }),
    run("threads", { ...of, workers: 0, seed: 3 }),
  ]);
}

/** A run recorded from outside, with rare events: an outcome that was there, the kernel's switches. */
export function followed() {
  const rows = [
    [0, 0, 0, 0, -1, -1],
    [10, 0, 2, 0, -1, -1],
    [20, 0, 0, 1, 0, -1],
    [30, 0, 20, 0, 1, -1],
    [40, 0, 19, 0, 3, 2],
    [50, 0, 3, 0, 1, -1],
  ];
  const column = (index) => rows.map((row) => row[index]);
  return trace("followed", [
    {
      runtime: "tokio-mt",
      config: {},
      wall_ns: 60,
      dropped: 0,
      missing: ["queues", "steals"],
      threads: [{ id: 0, name: "tokio-worker", kind: "worker" }],
      tasks: ["parent", "child"].map((name, id) => ({ id, name, parent: id === 0 ? null : 0, site: "src/p.rs:1" })),
      events: { t_ns: column(0), thread: column(1), kind: column(2), task: column(3), a: column(4), b: column(5) },
    },
  ]);
}

/** Three models with so many events in all. */
export function large(events, tasks) {
  const of = { tasks, events: Math.round(events / 3) };
  return trace("generated", [
    run("n1", { ...of, workers: 1 }),
    run("mn", { ...of, workers: 2, seed: 2 }),
    run("threads", { ...of, workers: 0, seed: 3 }),
  ]);
}

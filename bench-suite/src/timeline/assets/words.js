// Figures and events in words.

/** A duration or point in time with three digits. */
function duration(ns) {
  const sign = ns < 0 ? "-" : "";
  const value = Math.abs(ns);
  const [divisor, unit] =
    value < 1e3 ? [1, "ns"] : value < 1e6 ? [1e3, "µs"] : value < 1e9 ? [1e6, "ms"] : [1e9, "s"];
  return `${sign}${Number((value / divisor).toPrecision(3))} ${unit}`;
}

/** A point in time, as precise as a window of `span` requires. */
function instant(ns, span) {
  const [divisor, unit] =
    span < 2e3 && ns < 1e5 ? [1, "ns"] : span < 2e6 ? [1e3, "µs"] : span < 2e9 ? [1e6, "ms"] : [1e9, "s"];
  const digits = Math.max(0, Math.min(9, Math.ceil(-Math.log10(span / divisor / 100))));
  const fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${(ns / divisor).toLocaleString("en", fixed)} ${unit}`;
}

/** A count with separators. */
function whole(count) {
  return count.toLocaleString("en");
}

const QUEUE_PLACES = ["its LIFO slot", "its LIFO queue", "its FIFO queue", "the injector", "the inbox"];
const POLL_ENDS = ["pending", "ready", "yielded", "panicked", "cancelled"];
const WAKE_CAUSES = ["a task", "a timer", "a socket", "another thread", "a blocking job", "an abort"];
const LOCKS = ["mutex", "semaphore", "event", "queue", "condition", "lock"];
const TASK_ENDS = ["ended with a value", "ended with a panic", "was cancelled"];

/** One event in a sentence without its time. */
function eventWords(model, i) {
  const { a, b } = { a: model.a[i], b: model.b[i] };
  const task = model.task[i] >= 0 ? rowLabel(model, model.task[i]) : "a task";
  // In some events `a` is a task.
  const other = a >= 0 && a < model.tasks.length ? rowLabel(model, a) : null;
  const thread = (at) => (at >= 0 ? model.threads[at].name || `thread ${model.threads[at].id}` : "an unknown thread");
  const on = thread(model.thread[i]);
  switch (model.kind[i]) {
    case KIND.SPAWN:
      return other === null ? `${task} spawned from outside, on ${on}` : `${task} spawned by ${other}`;
    case KIND.QUEUED:
      return `${task} queued: ${QUEUE_PLACES[b] ?? "a queue"}${a >= 0 ? ` on ${thread(a)}` : ""}`;
    case KIND.POLL_BEGIN:
      return `poll of ${task} begins on ${on}`;
    case KIND.POLL_END:
      return `poll of ${task} ends: ${POLL_ENDS[a] ?? "outcome unknown"}`;
    case KIND.WAKE:
      return `${task} woken by ${other ?? WAKE_CAUSES[b] ?? "something unknown"}, on ${on}`;
    case KIND.STEAL:
      return `${on} steals ${b >= 0 ? whole(b) : "some"} from ${thread(a)}`;
    case KIND.PARK:
      return `${on} goes to sleep${a === 1 ? " in the poller" : ""}`;
    case KIND.UNPARK:
      return `${on} awake again${a >= 0 ? `, woken by ${thread(a)}` : ""}`;
    case KIND.SEARCH:
      return `${on} searches for work`;
    case KIND.IO_POLL:
      return `${on} polls for I/O: ${a >= 0 ? whole(a) : "unknown"} events`;
    case KIND.TIMER_FIRED:
      return model.task[i] >= 0 ? `timer of ${task} fired` : `a timer fired on ${on}`;
    case KIND.BLOCKING_BEGIN:
      return `blocking code begins on ${on}`;
    case KIND.BLOCKING_END:
      return `blocking code ends on ${on}`;
    case KIND.HANDOFF:
      return `the monitor hands the work of ${thread(a)} to ${thread(b)}`;
    case KIND.LOCK_WAIT:
      return `${task} waits for ${LOCKS[b] ?? "lock"} ${a}`;
    case KIND.LOCK_GOT:
      return `${task} gets ${LOCKS[b] ?? "lock"} ${a}`;
    case KIND.LOCK_RELEASE:
      return `${task} releases ${LOCKS[b] ?? "lock"} ${a}`;
    case KIND.ABORT:
      return `${task} aborted${other === null ? "" : ` by ${other}`}`;
    case KIND.TASK_END:
      return `${task} ${TASK_ENDS[a] ?? "ended"}`;
    case KIND.OS_SWITCH:
      if (a >= 2) {
        const why = a === 2 ? "for others" : "because it waited";
        return `in this poll the kernel took ${on} off the CPU ${whole(b)} time${b === 1 ? "" : "s"}, ${why}`;
      }
      return `the kernel takes ${on} ${a === 0 ? "off" : "back on"} the CPU`;
    case KIND.JOINED:
      return `${task} uses the outcome${other === null ? "" : ` of ${other}`}, which was there`;
    default:
      return `an event of unknown kind ${model.kind[i]}`;
  }
}

/** The label of a task's row, which is the same under every runtime. */
function rowLabel(model, task) {
  const row = model.rowOfTask?.[task] ?? -1;
  return row >= 0 ? model.rows[row].label : taskName(model, task);
}

/** A task's story under one runtime: short facts, each a name and a text. */
function story(model, task) {
  const { series } = model;
  const facts = [];
  const of = model.tasks[task];
  const kinds = new Array(KIND.JOINED + 1).fill(0);
  const causes = new Array(7).fill(0);
  const threads = new Set();
  let moves = 0;
  let lastThread = -1;
  let spawned = null;
  let ended = null;
  for (let k = model.byTask.offset[task]; k < model.byTask.offset[task + 1]; k += 1) {
    const i = model.byTask.item[k];
    const kind = model.kind[i];
    kinds[kind] += 1;
    if (kind === KIND.SPAWN) spawned = i;
    else if (kind === KIND.TASK_END) ended = i;
    else if (kind === KIND.WAKE) causes[model.b[i] >= 0 && model.b[i] < 6 ? model.b[i] : 6] += 1;
    else if (kind === KIND.POLL_BEGIN) {
      const thread = model.thread[i];
      if (lastThread >= 0 && thread !== lastThread) moves += 1;
      lastThread = thread;
      threads.add(thread);
    }
  }
  const parent = of.parentAt >= 0 ? rowLabel(model, of.parentAt) : "code outside of tasks";
  const when = spawned === null ? "at an unknown time" : `at ${duration(model.t[spawned])}`;
  facts.push(["Spawned", `${when} by ${parent}${of.site ? `, ${of.site}` : ""}`]);
  const polls = series.taskPoll.count(task);
  facts.push([
    "Ran",
    `${duration(series.taskPoll.total(task))} in ${whole(polls)} poll${polls === 1 ? "" : "s"}, ` +
      `the longest ${duration(series.taskPoll.longest(task))}`,
  ]);
  if (threads.size > 0) {
    facts.push([
      "Where",
      threads.size === 1
        ? model.threads[lastThread]?.name || "one thread"
        : `${threads.size} threads, moved ${whole(moves)} times`,
    ]);
  }
  if (series.taskQueued.count(task) > 0) {
    facts.push([
      "Queued",
      `${duration(series.taskQueued.total(task))}, the longest ${duration(series.taskQueued.longest(task))}`,
    ]);
  }
  const woken = WAKE_CAUSES.map((cause, index) => [cause, causes[index]])
    .concat([["something unknown", causes[6]]])
    .filter(([, count]) => count > 0);
  if (woken.length > 0)
    facts.push(["Woken", woken.map(([cause, count]) => `${whole(count)} times by ${cause}`).join(", ")]);
  if (series.taskLock.count(task) > 0) facts.push(["Waited for locks", duration(series.taskLock.total(task))]);
  if (series.taskBlocking.count(task) > 0)
    facts.push(["Blocked its thread", duration(series.taskBlocking.total(task))]);
  facts.push([
    "End",
    ended === null ? "not recorded" : `${TASK_ENDS[model.a[ended]] ?? "ended"} at ${duration(model.t[ended])}`,
  ]);
  return facts;
}

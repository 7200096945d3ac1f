// One run in a form for drawing rows: slices by task and by thread, edges between them, and the owner of each event.

const KIND = {
  SPAWN: 0,
  QUEUED: 1,
  POLL_BEGIN: 2,
  POLL_END: 3,
  WAKE: 4,
  STEAL: 5,
  PARK: 6,
  UNPARK: 7,
  SEARCH: 8,
  IO_POLL: 9,
  TIMER_FIRED: 10,
  BLOCKING_BEGIN: 11,
  BLOCKING_END: 12,
  HANDOFF: 13,
  LOCK_WAIT: 14,
  LOCK_GOT: 15,
  LOCK_RELEASE: 16,
  ABORT: 17,
  TASK_END: 18,
  OS_SWITCH: 19,
  JOINED: 20,
};
const EDGE = { WAKE: 0, SPAWN: 1, STEAL: 2 };

/** Gives tasks and threads positions instead of numbers. Adds those that only events name. */
function positions(run) {
  const task = new Map();
  run.taskId.forEach((id, index) => task.set(id, index));
  const thread = new Map();
  run.threads.forEach((one, index) => thread.set(one.id, index));
  const tasks = Array.from(run.taskId, (id, index) => ({
    id,
    name: run.names[run.taskName[index]] ?? "",
    parent: run.taskParent[index],
    site: run.sites[run.taskSite[index]] ?? "",
  }));
  const taskAt = (id) => {
    if (id < 0) return -1;
    let index = task.get(id);
    if (index === undefined) {
      index = tasks.length;
      tasks.push({ id, name: "", parent: -1, site: "", unknown: true });
      task.set(id, index);
    }
    return index;
  };
  const threads = run.threads.map((one) => ({ ...one }));
  const threadAt = (id) => {
    if (id < 0) return -1;
    let index = thread.get(id);
    if (index === undefined) {
      index = threads.length;
      threads.push({ id, name: `thread ${id}`, kind: "other" });
      thread.set(id, index);
    }
    return index;
  };
  for (let i = 0; i < run.count; i += 1) {
    const kind = run.kind[i];
    run.task[i] = taskAt(run.task[i]);
    run.thread[i] = threadAt(run.thread[i]);
    const namesTask = kind === KIND.SPAWN || kind === KIND.WAKE || kind === KIND.ABORT || kind === KIND.JOINED;
    if (namesTask) run.a[i] = taskAt(run.a[i]);
    if (kind === KIND.STEAL || kind === KIND.UNPARK || kind === KIND.QUEUED) run.a[i] = threadAt(run.a[i]);
    if (kind === KIND.HANDOFF) {
      run.a[i] = threadAt(run.a[i]);
      run.b[i] = threadAt(run.b[i]);
    }
  }
  if (run.path !== null) run.path.thread.forEach((id, step) => (run.path.thread[step] = threadAt(id)));
  for (const one of tasks) one.parentAt = one.parent < 0 ? -1 : (task.get(one.parent) ?? -1);
  return { tasks, threads };
}

/** Begin and end of one state per owner. A second begin, or the end of the run, ends a slice whose end is missing. */
class OpenSlices {
  constructor(owners) {
    this.since = new Float64Array(owners).fill(-1);
    this.event = new Uint32Array(owners);
    this.slices = new SliceCollector();
    this.unfinished = 0;
  }

  begin(owner, time, event) {
    if (owner < 0) return;
    if (this.since[owner] >= 0) {
      this.unfinished += 1;
      this.end(owner, time);
    }
    this.since[owner] = time;
    this.event[owner] = event;
  }

  end(owner, time) {
    if (owner < 0 || this.since[owner] < 0) return;
    this.slices.add(owner, this.since[owner], time, this.event[owner]);
    this.since[owner] = -1;
  }

  endAll(time) {
    this.since.forEach((since, owner) => {
      if (since >= 0) this.end(owner, time);
    });
  }
}

function buildModel(run) {
  const { tasks, threads } = positions(run);
  const perTask = () => new OpenSlices(tasks.length);
  const perThread = () => new OpenSlices(threads.length);
  const open = {
    taskPoll: perTask(),
    taskQueued: perTask(),
    taskLock: perTask(),
    taskBlocking: perTask(),
    threadPoll: perThread(),
    threadBlocking: perThread(),
    threadSearch: perThread(),
    threadPark: perThread(),
    threadOff: perThread(),
  };
  const { t, kind, thread, task, a } = run;
  const polled = new Int32Array(threads.length).fill(-1);
  for (let i = 0; i < run.count; i += 1) {
    const now = t[i];
    const on = thread[i];
    const of = task[i];
    // Whatever a worker does next ends its search or its sleep.
    if (on >= 0 && kind[i] !== KIND.OS_SWITCH) {
      open.threadSearch.end(on, now);
      if (kind[i] !== KIND.PARK) open.threadPark.end(on, now);
    }
    switch (kind[i]) {
      case KIND.QUEUED:
        // A task that is queued twice has waited since the first time.
        if (of >= 0 && open.taskQueued.since[of] < 0) open.taskQueued.begin(of, now, i);
        break;
      case KIND.POLL_BEGIN:
        open.taskQueued.end(of, now);
        if (polled[on] >= 0 && polled[on] !== of) {
          open.taskPoll.end(polled[on], now);
        }
        open.taskPoll.begin(of, now, i);
        open.threadPoll.begin(on, now, i);
        if (on >= 0) polled[on] = of;
        break;
      case KIND.POLL_END:
        open.taskPoll.end(of, now);
        open.threadPoll.end(on, now);
        if (on >= 0) polled[on] = -1;
        break;
      case KIND.PARK:
        open.threadPark.begin(on, now, i);
        break;
      case KIND.SEARCH:
        open.threadSearch.begin(on, now, i);
        break;
      case KIND.BLOCKING_BEGIN:
        open.threadBlocking.begin(on, now, i);
        open.taskBlocking.begin(of, now, i);
        break;
      case KIND.BLOCKING_END:
        open.threadBlocking.end(on, now);
        open.taskBlocking.end(of, now);
        break;
      case KIND.LOCK_WAIT:
        if (of >= 0 && open.taskLock.since[of] < 0) open.taskLock.begin(of, now, i);
        break;
      case KIND.LOCK_GOT:
        open.taskLock.end(of, now);
        break;
      case KIND.TASK_END:
        open.taskLock.end(of, now);
        open.taskQueued.end(of, now);
        break;
      case KIND.OS_SWITCH:
        if (a[i] === 0) open.threadOff.begin(on, now, i);
        else open.threadOff.end(on, now);
        break;
      default:
        break;
    }
  }
  const last = Math.max(run.wallNs, run.count > 0 ? t[run.count - 1] : 0);
  // What is still open at the end was cut by the end of the recording; nothing is missing there.
  const { unfinished } = open.threadPoll;
  const series = {};
  for (const [name, one] of Object.entries(open)) {
    one.endAll(last);
    series[name] = new Series(one.slices, name.startsWith("task") ? tasks.length : threads.length);
  }
  return {
    ...run,
    tasks,
    threads,
    series,
    endNs: last,
    unfinished,
    byTask: grouped(task, tasks.length),
    byThread: grouped(thread, threads.length),
    edges: buildEdges(run, tasks.length),
  };
}

/** Wakes, spawns and steals, in order of time; a wake leads to the next poll of the woken task. */
function buildEdges(run, taskCount) {
  const { t, kind, thread, task, a } = run;
  const events = [];
  for (let i = 0; i < run.count; i += 1) {
    if (kind[i] === KIND.WAKE || kind[i] === KIND.SPAWN || kind[i] === KIND.STEAL) events.push(i);
  }
  const edges = {
    event: Uint32Array.from(events),
    start: Float64Array.from(events, (i) => t[i]),
    polledAt: new Float64Array(events.length).fill(-1),
    polledOn: new Int32Array(events.length).fill(-1),
  };
  const nextPoll = new Float64Array(taskCount).fill(-1);
  const nextThread = new Int32Array(taskCount).fill(-1);
  let edge = events.length - 1;
  for (let i = run.count - 1; i >= 0; i -= 1) {
    if (kind[i] === KIND.POLL_BEGIN && task[i] >= 0) {
      nextPoll[task[i]] = t[i];
      nextThread[task[i]] = thread[i];
    }
    if (edge >= 0 && events[edge] === i) {
      if (task[i] >= 0 && kind[i] !== KIND.STEAL) {
        edges.polledAt[edge] = nextPoll[task[i]];
        edges.polledOn[edge] = nextThread[task[i]];
      }
      edge -= 1;
    }
  }
  return edges;
}

/** The type of an edge. */
function edgeType(kind) {
  if (kind === KIND.WAKE) return EDGE.WAKE;
  return kind === KIND.SPAWN ? EDGE.SPAWN : EDGE.STEAL;
}

// Columns of numbers, as the Rust side packed them: variable-length integers, deflated, in base64.

/** The bytes of a packed column. */
async function unpack(text) {
  const packed = atob(text);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i += 1) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Calls `put(index, value)` for each of `count` integers of 7 bits a byte, the lowest bits first. */
function integers(bytes, count, put) {
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at];
      if (byte === undefined) throw new Error("a column of this page is cut short");
      at += 1;
      // No shifts: times need more than 32 bits.
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
    }
    put(index, value);
  }
}

/** Times, each stored as the difference from the one before. */
async function times(text, count) {
  const values = new Float64Array(count);
  let last = 0;
  integers(await unpack(text), count, (index, value) => {
    last += value;
    values[index] = last;
  });
  return values;
}

/** Numbers that may be absent: -1 here, 0 in the column. */
async function numbers(text, count) {
  const values = new Int32Array(count);
  integers(await unpack(text), count, (index, value) => {
    values[index] = value - 1;
  });
  return values;
}

/** Task numbers, each stored as the difference from the one before, with its sign in the lowest bit; -1 if absent. */
async function signedSteps(text, count) {
  const values = new Int32Array(count);
  let last = 0;
  integers(await unpack(text), count, (index, value) => {
    last += value % 2 === 1 ? -(value + 1) / 2 : value / 2;
    values[index] = last - 1;
  });
  return values;
}

/** The steps of a critical path, if there is one. */
async function decodePath(packed) {
  if (packed === null) return null;
  const { count } = packed;
  return {
    begin: await times(packed.begin, count),
    work: await numbers(packed.work, count),
    task: await signedSteps(packed.task, count),
    thread: await numbers(packed.thread, count),
  };
}

/** Threads in reading order: workers first, each kind by name, `worker-2` before `worker-10`. */
function inOrder(threads) {
  const rank = { worker: 0, other: 1, task: 2, blocking: 3, monitor: 4 };
  const names = new Intl.Collator("en", { numeric: true });
  return threads.sort((one, other) => rank[one.kind] - rank[other.kind] || names.compare(one.name, other.name));
}

/** One run of the page's data with its columns as typed arrays. */
async function decodeRun(packed) {
  const { columns, events: count, tasks } = packed;
  const kind = await unpack(columns.kind);
  if (kind.length !== count) throw new Error("a column of this page is cut short");
  return {
    runtime: packed.runtime,
    label: packed.label,
    hue: packed.hue,
    wallNs: packed.wall_ns,
    dropped: packed.dropped,
    missing: packed.missing ?? [],
    threads: inOrder(packed.threads),
    path: await decodePath(packed.path),
    names: tasks.names,
    sites: tasks.sites,
    taskId: await numbers(tasks.id, tasks.count),
    taskName: await numbers(tasks.name, tasks.count),
    taskParent: await numbers(tasks.parent, tasks.count),
    taskSite: await numbers(tasks.site, tasks.count),
    count,
    t: await times(columns.t_ns, count),
    kind,
    thread: await numbers(columns.thread, count),
    task: await signedSteps(columns.task, count),
    a: await numbers(columns.a, count),
    b: await numbers(columns.b, count),
  };
}

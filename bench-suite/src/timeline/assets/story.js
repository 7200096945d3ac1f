// The text about a row, a slice or an event: beside the pointer, in the panel below, and for screen readers.

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className !== undefined) made.className = className;
  return made;
}

/** What is under the pointer, in short lines. */
function underPointer(view, row, time) {
  const model = view.models[row.run];
  const { series } = model;
  const lines = [];
  const slice = (of, words) => {
    const index = of.at(row.owner, time);
    if (index >= 0) lines.push(words(of, index));
  };
  const long = (of, index) => duration(of.end[index] - of.start[index]);
  if (view.mode === "tasks") {
    lines.push(`${rowLabel(model, row.owner)}, ${model.label}`);
    slice(
      series.taskPoll,
      (of, index) => `running for ${long(of, index)} on ${threadName(model, model.thread[of.event[index]])}`,
    );
    slice(series.taskQueued, (of, index) => `queued for ${long(of, index)}`);
    slice(
      series.taskLock,
      (of, index) =>
        `waits for ${LOCKS[model.b[of.event[index]]] ?? "lock"} ${model.a[of.event[index]]}, ${long(of, index)}`,
    );
    slice(series.taskBlocking, (of, index) => `blocks its thread for ${long(of, index)}`);
    for (const [name, text] of story(model, row.owner).slice(0, 3)) lines.push(`${name}: ${text}`);
  } else {
    lines.push(`${threadName(model, row.owner)}, ${model.label}`);
    slice(series.threadPoll, (of, index) => {
      const task = model.task[of.event[index]];
      return `runs ${task >= 0 ? rowLabel(model, task) : "a task"} for ${long(of, index)}`;
    });
    slice(
      series.threadPark,
      (of, index) => `asleep for ${long(of, index)}${model.a[of.event[index]] === 1 ? " in the poller" : ""}`,
    );
    slice(series.threadSearch, (of, index) => `searches for ${long(of, index)}`);
    slice(series.threadBlocking, (of, index) => `runs blocking code for ${long(of, index)}`);
    slice(series.threadOff, (of, index) => `off the CPU for ${long(of, index)}`);
  }
  return lines;
}

function threadName(model, at) {
  return at >= 0 ? model.threads[at].name || `thread ${model.threads[at].id}` : "an unknown thread";
}

/** Facts about a thread. */
function threadFacts(model, at) {
  const { series } = model;
  const of = (one) => (one.count(at) > 0 ? `${duration(one.total(at))} in ${whole(one.count(at))} times` : "never");
  return [
    ["Kind", model.threads[at].kind],
    ["Ran tasks", of(series.threadPoll)],
    ["Asleep", of(series.threadPark)],
    ["Searched", of(series.threadSearch)],
    ["Blocking code", of(series.threadBlocking)],
  ];
}

const MOST_LINES = 15;

/** Fills the panel: the chosen row's facts, and the events around the cursor with the way to each. */
function fillPanel(panel, view, goTo) {
  panel.replaceChildren();
  if (view.chosen === null) {
    panel.append(
      element("h2", "No row chosen"),
      element("p", "Click a row, or move with the arrow keys, to read its story here."),
    );
    return;
  }
  const { run, owner } = view.chosen;
  const model = view.models[run];
  const tasks = view.mode === "tasks";
  panel.append(element("h2", `${tasks ? rowLabel(model, owner) : threadName(model, owner)}, ${model.label}`));
  if (model.dropped > 0)
    panel.append(element("p", "Events of this run were dropped: what follows is not the whole story.", "incomplete"));
  const list = element("dl");
  for (const [name, text] of tasks ? story(model, owner) : threadFacts(model, owner)) {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", text));
    list.append(pair);
  }
  panel.append(list, element("h3", "Events around the cursor"));
  const { count, at } = view.scope();
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (model.t[at(middle)] < view.cursor) low = middle + 1;
    else high = middle;
  }
  const first = Math.max(0, Math.min(low - 5, count - MOST_LINES));
  const events = element("ol");
  for (let k = first; k < Math.min(count, first + MOST_LINES); k += 1) {
    const i = at(k);
    const line = element("li");
    const button = element(
      "button",
      `${instant(model.t[i], Math.max(1e3, (view.t1 - view.t0) / 100))}: ${eventWords(model, i)}`,
    );
    button.type = "button";
    if (i === view.event) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => goTo(i));
    line.append(button);
    events.append(line);
  }
  panel.append(events);
  if (count > MOST_LINES) panel.append(element("p", `${whole(count)} events in all; step with , and .`));
}

/** The table below the canvas: each run in figures, for those who don't see the picture, and for print. */
function fillTable(body, models) {
  for (const model of models) {
    const counts = new Array(21).fill(0);
    for (let i = 0; i < model.count; i += 1) counts[model.kind[i]] += 1;
    const sum = (series, owners) => {
      let total = 0;
      for (let owner = 0; owner < owners; owner += 1) total += series.total(owner);
      return duration(total);
    };
    const row = element("tr");
    const name = element("th", model.label);
    name.scope = "row";
    row.append(name);
    for (const text of [
      duration(model.wallNs),
      whole(model.tasks.length),
      whole(model.threads.length),
      whole(counts[KIND.POLL_BEGIN]),
      sum(model.series.taskPoll, model.tasks.length),
      sum(model.series.taskQueued, model.tasks.length),
      whole(counts[KIND.WAKE]),
      whole(counts[KIND.STEAL]),
      whole(counts[KIND.PARK]),
      whole(model.count),
      whole(model.dropped),
    ])
      row.append(element("td", text));
    body.append(row);
  }
}

// Which rows there are: the tasks of all runs matched with each other, or the threads of each run.

/** A task's name for the reader. */
function taskName(model, at) {
  const task = model.tasks[at];
  if (task.unknown) return `task ${task.id} (its spawn is not recorded)`;
  return task.name || task.site || `task ${task.id}`;
}

/**
 * The tasks of all runs, matched: two tasks are the same one if their parents are, their names are, and they are the
 * same child of that name in the order of spawning. That order does not depend on the schedule.
 */
function matchTasks(models) {
  const rows = [];
  const byKey = new Map();
  models.forEach((model, run) => {
    const keys = new Array(model.tasks.length);
    const seen = new Map();
    for (const at of inSpawnOrder(model)) {
      const parent = model.tasks[at].parentAt;
      // The parent's key is known before the child's, because it was spawned earlier. Otherwise the child is a root.
      const prefix = parent >= 0 && keys[parent] !== undefined ? keys[parent] : -1;
      const stem = `${prefix}\n${model.tasks[at].unknown ? "" : taskName(model, at)}`;
      const ordinal = seen.get(stem) ?? 0;
      seen.set(stem, ordinal + 1);
      const key = `${stem}\n${ordinal}`;
      let row = byKey.get(key);
      if (row === undefined) {
        row = rows.length;
        byKey.set(key, row);
        rows.push({
          name: taskName(model, at),
          site: model.tasks[at].site,
          ordinal,
          at: new Int32Array(models.length).fill(-1),
        });
      }
      rows[row].at[run] = at;
      keys[at] = row;
    }
    model.rowOfTask = Int32Array.from(keys, (row) => row ?? -1);
  });
  numberNames(rows);
  return rows;
}

/** Tasks in the order of their spawns; those whose spawn is not recorded keep their place in the table. */
function inSpawnOrder(model) {
  const order = [];
  const listed = new Uint8Array(model.tasks.length);
  const take = (at) => {
    // Parents first, even if clocks make their spawn appear later.
    const chain = [];
    while (at >= 0 && listed[at] === 0) {
      listed[at] = 1;
      chain.push(at);
      at = model.tasks[at].parentAt;
    }
    while (chain.length > 0) order.push(chain.pop());
  };
  for (let i = 0; i < model.count; i += 1) {
    if (model.kind[i] === KIND.SPAWN && model.task[i] >= 0) take(model.task[i]);
  }
  for (let at = 0; at < model.tasks.length; at += 1) take(at);
  return order;
}

/** Distinguishes tasks with the same name by a number. */
function numberNames(rows) {
  const count = new Map();
  for (const row of rows) count.set(row.name, (count.get(row.name) ?? 0) + 1);
  const next = new Map();
  for (const row of rows) {
    const number = (next.get(row.name) ?? 0) + 1;
    next.set(row.name, number);
    row.label = count.get(row.name) > 1 ? `${row.name} #${number}` : row.name;
  }
}

/** Rows whose label or spawn site holds the text; all of them for an empty one. */
function matchingRows(rows, text) {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return rows;
  return rows.filter((row) => row.label.toLowerCase().includes(wanted) || row.site.toLowerCase().includes(wanted));
}

const HEADING = 20;
const AXIS = 22;
const STRIP = 10;

/**
 * The layout of the canvas: panels below each other, each with rows of one height. All panels scroll
 * together, so that matched tasks stay on the same height in each.
 */
function layOut(view, models, rows, width, height) {
  const gutter = Math.round(Math.min(220, Math.max(84, width * 0.2)));
  const top = AXIS + STRIP * models.length + 4;
  const panels = [];
  if (view.mode === "tasks" && view.arrange === "task") {
    const runs = models.length;
    panels.push({
      heading: [
        "Each task under each runtime",
        ...models.filter((model) => model.dropped > 0).map((model) => `${model.label} INCOMPLETE`),
      ].join("  ·  "),
      hue: null,
      count: rows.length * runs,
      at: (index) => {
        const run = index % runs;
        const row = rows[(index - run) / runs];
        return {
          run,
          owner: row.at[run],
          label: run === 0 ? row.label : "",
          second: models[run].label,
          group: run === 0,
        };
      },
    });
  } else {
    models.forEach((model, run) => {
      const tasks = view.mode === "tasks";
      panels.push({
        run,
        heading: heading(model),
        hue: model.hue,
        count: tasks ? rows.length : model.threads.length,
        at: tasks
          ? (index) => ({ run, owner: rows[index].at[run], label: rows[index].label })
          : (index) => ({
              run,
              owner: index,
              label: model.threads[index].name || `thread ${model.threads[index].id}`,
            }),
      });
    });
  }
  // A few rows grow into the available room.
  const rowCount = panels.reduce((sum, panel) => sum + panel.count, 0);
  const room = (height - top - panels.length * (HEADING + 4)) / Math.max(1, rowCount);
  const rowHeight = Math.floor(Math.max(view.rowHeight, Math.min(view.rowHeight * 2.5, room)));
  share(panels, height - top, rowHeight);
  let y = top;
  for (const panel of panels) {
    panel.top = y;
    panel.bottom = y + panel.height;
    panel.scroll = Math.min(view.scroll, Math.max(0, panel.count * rowHeight - (panel.height - HEADING)));
    y = panel.bottom;
  }
  const most = Math.max(0, ...panels.map((panel) => panel.count * rowHeight - (panel.height - HEADING)));
  return { gutter, top, width, height, rowHeight, panels, mostScroll: most };
}

/** The text of a panel's heading. It says what is missing, because nobody overlooks it here. */
function heading(model) {
  const parts = [model.label, `${duration(model.wallNs)}`];
  if (model.dropped > 0) parts.push(`INCOMPLETE: ${whole(model.dropped)} events dropped`);
  if (model.missing.length > 0) parts.push("FROM OUTSIDE: not everything is seen");
  return parts.join("  ·  ");
}

/** Shares the height: no panel gets more than its rows need while another could use it. */
function share(panels, height, rowHeight) {
  let left = Math.max(height, panels.length * (HEADING + rowHeight));
  const open = panels.map((panel) => ({ panel, need: HEADING + panel.count * rowHeight + 4 }));
  open.sort((one, other) => one.need - other.need);
  open.forEach(({ panel, need }, index) => {
    panel.height = Math.floor(Math.min(need, left / (open.length - index)));
    left -= panel.height;
  });
}

/** The row at a height, or null. */
function rowAtHeight(layout, y) {
  for (const panel of layout.panels) {
    if (y < panel.top + HEADING || y >= panel.bottom) continue;
    const index = Math.floor((y - panel.top - HEADING + panel.scroll) / layout.rowHeight);
    if (index < panel.count) return { panel, index, ...panel.at(index) };
  }
  return null;
}

/** The vertical centre of a row, if it is visible. */
function centreOf(layout, panel, index) {
  const y = panel.top + HEADING + index * layout.rowHeight - panel.scroll + layout.rowHeight / 2;
  return y >= panel.top + HEADING && y <= panel.bottom ? y : null;
}

// Lines between rows: wakes, spawns and steals, and the critical path.

/** The position of a task's or thread's row, for arrows. */
function rowFinder(layout, view, models, filtered) {
  const indexOfRow = new Map(filtered.map((row, index) => [row, index]));
  return (run, task, thread) => {
    if (view.mode === "threads") {
      const panel = layout.panels[run];
      return thread >= 0 ? centreOf(layout, panel, thread) : null;
    }
    if (task < 0) return null;
    const index = indexOfRow.get(models[run].rows[models[run].rowOfTask[task]]);
    if (index === undefined) return null;
    return view.arrange === "task"
      ? centreOf(layout, layout.panels[0], index * models.length + run)
      : centreOf(layout, layout.panels[run], index);
  };
}

/** Draws the visible arrows; returns how many were left out. */
function drawArrows(context, layout, view, models, theme, find) {
  const { gutter, width } = layout;
  const room = width - gutter;
  const scale = room / (view.t1 - view.t0);
  let hidden = 0;
  models.forEach((model, run) => {
    const { edges } = model;
    const from = firstAbove(edges.start, 0, edges.start.length, view.t0);
    const to = firstAbove(edges.start, from, edges.start.length, view.t1);
    // More than this can't be distinguished, so draw only those of the chosen task.
    const crowded = to - from > Math.min(MOST_ARROWS, room) / models.length;
    const only = crowded ? (view.chosen?.run === run ? view.chosen.owner : -1) : null;
    if (crowded && only < 0) {
      hidden += to - from;
      return;
    }
    const picked = [];
    if (only === null) {
      for (let k = from; k < to; k += 1) picked.push(k);
    } else {
      hidden += chosenEdges(model, view, only, from, to, picked);
    }
    for (const k of picked) drawArrow(context, model, run, k, { gutter, width, scale, view, theme, find });
  });
  return hidden;
}

/** The visible edges of one row, up to a limit; returns how many are left out. */
function chosenEdges(model, view, owner, from, to, picked) {
  let hidden = 0;
  for (let k = from; k < to; k += 1) {
    const i = model.edges.event[k];
    const touches =
      view.mode === "tasks"
        ? model.task[i] === owner || model.a[i] === owner
        : model.thread[i] === owner || model.edges.polledOn[k] === owner;
    if (touches && picked.length < MOST_ARROWS / 2) picked.push(k);
    else hidden += 1;
  }
  return hidden;
}

function drawArrow(context, model, run, k, { gutter, width, scale, view, theme, find }) {
  const { edges } = model;
  const i = edges.event[k];
  const type = edgeType(model.kind[i]);
  let y0;
  let y1;
  let end = edges.start[k];
  if (type === EDGE.STEAL) {
    if (view.mode === "tasks") return;
    y0 = find(run, -1, model.a[i]);
    y1 = find(run, -1, model.thread[i]);
  } else {
    y0 = find(run, model.a[i], model.thread[i]);
    y1 = find(run, model.task[i], edges.polledOn[k]);
    if (view.mode === "threads" && edges.polledAt[k] >= 0) end = edges.polledAt[k];
  }
  const x0 = gutter + (edges.start[k] - view.t0) * scale;
  const x1 = Math.min(gutter + (end - view.t0) * scale, width + 20);
  context.lineWidth = 1.2;
  context.strokeStyle = theme.ink;
  context.fillStyle = theme.ink;
  context.setLineDash(type === EDGE.SPAWN ? [4, 3] : type === EDGE.STEAL ? [1, 3] : []);
  if (y0 === null || y1 === null || (y0 === y1 && view.mode === "tasks")) {
    // Woken by a timer, a socket or a thread without a row: a dart from above.
    const y = y1 ?? y0;
    if (y === null || type === EDGE.SPAWN) return;
    dart(context, x0, y - 9, x0, y - 3);
    return;
  }
  if (y0 !== y1) dart(context, x0, y0, x1, y1);
  else if (x1 - x0 > 8) arc(context, x0, x1, y0);
}

/** The critical path: a line over the slices that it is made of, and lines from each to the next. */
function drawPaths(context, layout, view, models, theme, find) {
  const { gutter, width } = layout;
  const scale = (width - gutter) / (view.t1 - view.t0);
  context.strokeStyle = theme.chosen;
  context.fillStyle = theme.chosen;
  context.setLineDash([]);
  models.forEach((model, run) => {
    if (model.path === null) return;
    const { begin, work, task, thread } = model.path;
    let before = null;
    let k = Math.max(0, firstAbove(begin, 0, begin.length, view.t0) - 1);
    while (k < begin.length && begin[k] < view.t1) {
      const x = Math.max(gutter, gutter + (begin[k] - view.t0) * scale);
      const end = Math.min(width, gutter + (begin[k] + work[k] - view.t0) * scale);
      const y = find(run, task[k], thread[k]);
      if (y !== null && end >= gutter) {
        const top = y - layout.rowHeight / 2 + 1;
        context.fillRect(x, top, Math.max(1.5, end - x), 3);
        if (before !== null && before.top !== top) {
          context.lineWidth = 1.5;
          context.beginPath();
          context.moveTo(before.x, before.top + 1.5);
          context.lineTo(x, top + 1.5);
          context.stroke();
        }
        before = { x: Math.max(x, end), top };
      } else {
        before = null;
      }
      // Steps within one pixel look like one.
      k = Math.max(k + 1, firstAbove(begin, k, begin.length, begin[k] + 0.5 / scale));
    }
  });
}

/** A line with a head. */
function dart(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
  context.setLineDash([]);
  const angle = Math.atan2(y1 - y0, x1 - x0);
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x1 - 6 * Math.cos(angle - 0.45), y1 - 6 * Math.sin(angle - 0.45));
  context.lineTo(x1 - 6 * Math.cos(angle + 0.45), y1 - 6 * Math.sin(angle + 0.45));
  context.fill();
}

/** From one slice of a lane to a later one: a flat arc, which does not cross out the lane. */
function arc(context, x0, x1, y) {
  const height = Math.min(12, (x1 - x0) / 4);
  context.globalAlpha = 0.7;
  context.beginPath();
  context.moveTo(x0, y);
  context.quadraticCurveTo((x0 + x1) / 2, y - 2 * height, x1 - 3, y - 2);
  context.stroke();
  context.globalAlpha = 1;
  context.setLineDash([]);
  dart(context, x1 - 3, y - 3, x1, y);
}

// What stands on top of the rows: axis, overview, names, arrows, marks and the cursor.

/** Steps of 1, 2 or 5 with `room` pixels between them. */
function axisTicks(t0, t1, width, room) {
  const least = ((t1 - t0) * room) / Math.max(width, 1);
  const decade = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * decade).find((value) => value >= least);
  const ticks = [];
  for (let k = Math.ceil(t0 / step); k * step <= t1; k += 1) ticks.push(k * step);
  return { ticks, step };
}

function drawAxis(context, layout, view, theme) {
  const { gutter, width } = layout;
  const { ticks, step } = axisTicks(view.t0, view.t1, width - gutter, 110);
  context.font = `11px ${theme.font}`;
  context.textBaseline = "middle";
  for (const tick of ticks) {
    const x = Math.round(gutter + ((tick - view.t0) / (view.t1 - view.t0)) * (width - gutter));
    context.fillStyle = theme.line;
    context.globalAlpha = 0.6;
    context.fillRect(x, AXIS - 5, 1, layout.height - AXIS + 5);
    context.globalAlpha = 1;
    context.fillStyle = theme.quiet;
    const text = instant(tick, step * 10);
    if (x + 4 + context.measureText(text).width < width) context.fillText(text, x + 4, AXIS / 2);
  }
}

/** How busy each run is over its whole length, once per page: shares of threads' time that is polls, by pixel. */
function overviewShares(model, endNs, cells) {
  const total = new Float32Array(cells);
  const share = new Float32Array(cells);
  let lanes = 0;
  const threads = Math.min(model.threads.length, 256);
  for (let thread = 0; thread < threads; thread += 1) {
    const busy = model.series.threadPoll.count(thread) > 0;
    if (!busy) continue;
    lanes += 1;
    if (model.series.threadPoll.shares(thread, 0, endNs / cells, share)) {
      for (let x = 0; x < cells; x += 1) total[x] += share[x];
    }
  }
  const most = Math.max(1, Math.min(lanes, Math.max(...total)));
  return total.map((value) => Math.min(1, value / most));
}

function drawOverview(context, layout, view, models, theme, shares) {
  const { gutter, width } = layout;
  const room = width - gutter;
  models.forEach((model, run) => {
    const y = AXIS + run * STRIP;
    const cells = shares[run].length;
    context.fillStyle = theme.runs[run];
    for (let x = 0; x < room; x += 2) {
      const share = shares[run][Math.floor((x / room) * cells)];
      if (share > 0)
        context.fillRect(
          gutter + x,
          y + (STRIP - 1) * (1 - Math.max(share, 0.15)),
          2,
          (STRIP - 1) * Math.max(share, 0.15),
        );
    }
  });
  const left = gutter + (view.t0 / view.endNs) * room;
  const right = gutter + (view.t1 / view.endNs) * room;
  const top = AXIS - 1;
  const height = STRIP * models.length + 2;
  context.strokeStyle = theme.ink;
  context.lineWidth = 1;
  context.strokeRect(Math.round(left) + 0.5, top + 0.5, Math.max(3, Math.round(right - left)) - 1, height - 1);
  context.fillStyle = theme.quiet;
  context.font = `10px ${theme.font}`;
  context.fillText(fitted(context, "whole run", gutter - 10), 6, top + height / 2);
}

function drawNames(context, layout, view, models, theme, matches) {
  const { gutter } = layout;
  context.fillStyle = theme.paper;
  context.fillRect(0, layout.top, gutter - 1, layout.height - layout.top);
  context.fillStyle = theme.line;
  context.fillRect(gutter - 1, layout.top, 1, layout.height - layout.top);
  context.textBaseline = "middle";
  if (layout.rowHeight >= 9) {
    context.font = `${Math.min(12, layout.rowHeight - 2)}px ${theme.font}`;
    visibleRows(layout, (panel, index, row, y) => {
      if (y + layout.rowHeight > panel.bottom + 6) return;
      const chosen = isChosen(view, row);
      const middle = y + layout.rowHeight / 2;
      if (row.second !== undefined) {
        context.fillStyle = theme.runs[row.run];
        context.fillText(row.second, gutter - 8 - context.measureText(row.second).width, middle);
      }
      context.fillStyle = chosen ? theme.chosen : row.owner < 0 ? theme.quiet : theme.ink;
      const room = gutter - 14 - (row.second === undefined ? 0 : context.measureText(row.second).width + 6);
      context.fillText(fitted(context, row.label, room), 6, middle);
      if (row.owner < 0 && row.second === undefined) {
        context.fillText("not in this run", gutter + 6, middle);
      }
    });
  }
  visibleRows(layout, (panel, index, row, y) => {
    if (!isChosen(view, row) || y < panel.top + HEADING) return;
    context.strokeStyle = theme.chosen;
    context.lineWidth = 2;
    context.strokeRect(1, y + 0.5, layout.width - 2, layout.rowHeight - 1);
  });
  for (const panel of layout.panels) {
    context.fillStyle = theme.raised;
    context.fillRect(0, panel.top, layout.width, HEADING);
    context.font = `600 12px ${theme.font}`;
    let x = 8;
    if (panel.run !== undefined) {
      context.fillStyle = theme.runs[panel.run];
      context.fillRect(0, panel.top, 5, panel.height);
      x = 12;
    }
    context.fillStyle = panel.heading.includes("INCOMPLETE") ? theme.worse : theme.ink;
    context.fillText(fitted(context, panel.heading, layout.width - 20), x, panel.top + HEADING / 2);
    context.font = `11px ${theme.font}`;
  }
}

function isChosen(view, row) {
  return view.chosen !== null && view.chosen.run === row.run && view.chosen.owner === row.owner && row.owner >= 0;
}

/** Where the row of an owner stands, for arrows: `panel * rows + index` by run and owner would cost a table; this asks once. */
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

/** Draws the arrows in sight; returns how many were left out. */
function drawArrows(context, layout, view, models, theme, find) {
  const { gutter, width } = layout;
  const room = width - gutter;
  const scale = room / (view.t1 - view.t0);
  let hidden = 0;
  models.forEach((model, run) => {
    const { edges } = model;
    const from = firstAbove(edges.start, 0, edges.start.length, view.t0);
    const to = firstAbove(edges.start, from, edges.start.length, view.t1);
    // More than this can't be told apart: then only those of the chosen task.
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

/** The edges of one row in sight, at most so many; returns how many are left out. */
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
    // Woken by a timer, a socket or a thread that is no row: a dart from above.
    const y = y1 ?? y0;
    if (y === null || type === EDGE.SPAWN) return;
    dart(context, x0, y - 9, x0, y - 3);
    return;
  }
  if (y0 !== y1) dart(context, x0, y0, x1, y1);
  else if (x1 - x0 > 8) arc(context, x0, x1, y0);
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

/** From one slice of a lane to a later one: a low bow, which does not cross out the lane. */
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

/** The end of each run, and the cursor. */
function drawCursor(context, layout, view, models, theme) {
  const scale = (layout.width - layout.gutter) / (view.t1 - view.t0);
  for (const panel of layout.panels) {
    if (panel.run === undefined) continue;
    const x = layout.gutter + (models[panel.run].wallNs - view.t0) * scale;
    if (x < layout.gutter || x > layout.width) continue;
    context.fillStyle = theme.runs[panel.run];
    context.fillRect(x, panel.top + HEADING, 2, panel.height - HEADING);
  }
  const x = layout.gutter + (view.cursor - view.t0) * scale;
  if (x < layout.gutter || x > layout.width) return;
  context.fillStyle = theme.chosen;
  context.fillRect(Math.round(x), AXIS - 4, 1, layout.height - AXIS + 4);
  context.beginPath();
  context.moveTo(x - 5, AXIS - 8);
  context.lineTo(x + 6, AXIS - 8);
  context.lineTo(x + 0.5, AXIS - 1);
  context.fill();
}

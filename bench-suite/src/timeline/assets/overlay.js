// What is drawn over the rows: axis, overview, names and the cursor.

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

/** How busy each run is over its whole length, once per page: the share of thread time spent in polls, by pixel. */
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

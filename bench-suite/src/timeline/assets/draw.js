// One frame. Rows are rasterised into one image, a pixel column at a time; text, arrows and marks are drawn
// on top, and only as many as can be distinguished.

const MOST_ARROWS = 1200;
const MOST_LABELS = 400;

/** A CSS colour as the canvas' own 32 bits. */
function packColour(context, colour) {
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
  return (255 << 24) | (b << 16) | (g << 8) | r;
}

/** Colours of the page's style sheet, which has a light and a dark theme. */
function readTheme(element, models) {
  const style = getComputedStyle(element);
  const css = (name) => style.getPropertyValue(name).trim();
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const theme = {};
  for (const name of [
    "ink",
    "quiet",
    "paper",
    "raised",
    "line",
    "queued",
    "lock",
    "blocking",
    "search",
    "park",
    "off",
    "chosen",
    "gap",
    "worse",
  ]) {
    theme[name] = css(`--${name}`);
  }
  theme.runs = models.map((model) => css(`--run-${model.hue}`));
  theme.onRun = css("--on-run");
  theme.packed = Object.fromEntries(
    ["paper", "queued", "lock", "blocking", "search", "park", "off"].map((name) => [
      name,
      packColour(probe, theme[name]),
    ]),
  );
  theme.packedRuns = theme.runs.map((colour) => packColour(probe, colour));
  theme.font = style.fontFamily;
  return theme;
}

/** Draws `colour` over `line` as strongly as `share` says. */
function blend(line, share, colour) {
  const r = colour & 255;
  const g = (colour >>> 8) & 255;
  const b = (colour >>> 16) & 255;
  for (let x = 0; x < line.length; x += 1) {
    const part = share[x];
    if (part === 0) continue;
    const under = line[x];
    if (part >= 0.999) {
      line[x] = colour;
      continue;
    }
    const ur = under & 255;
    const ug = (under >>> 8) & 255;
    const ub = (under >>> 16) & 255;
    line[x] = (255 << 24) | ((ub + (b - ub) * part) << 16) | ((ug + (g - ug) * part) << 8) | (ur + (r - ur) * part);
  }
}

/** The picture behind everything: the rows' slices. */
class Raster {
  constructor() {
    this.width = 0;
    this.height = 0;
  }

  resize(width, height) {
    if (width === this.width && height === this.height) return;
    this.width = width;
    this.height = height;
    this.image = new ImageData(Math.max(width, 1), Math.max(height, 1));
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.share = new Float32Array(width);
    this.lines = LAYERS.map(() => new Uint32Array(width));
  }

  clear(colour) {
    this.pixels.fill(colour);
  }

  /** A row's layers between two heights: states over each other, each in its own layers. */
  row(states, owner, t0, nsPerPixel, top, height, limits, ground) {
    for (const line of this.lines) line.fill(ground);
    let touched = 0;
    for (const { series, colour, layers } of states) {
      if (!series.shares(owner, t0, nsPerPixel, this.share)) continue;
      touched |= layers;
      for (let layer = 0; layer < LAYERS.length; layer += 1) {
        if (layers & (1 << layer)) blend(this.lines[layer], this.share, colour);
      }
    }
    for (let layer = 0; layer < LAYERS.length; layer += 1) {
      if (!(touched & (1 << layer))) continue;
      const from = Math.max(limits.top, Math.round(top + LAYERS[layer][0] * height));
      const to = Math.min(limits.bottom, Math.round(top + LAYERS[layer][1] * height));
      for (let y = from; y < to; y += 1) this.pixels.set(this.lines[layer], y * this.width);
    }
  }
}

/** Layers of a row, as shares of its height. Running fills all of them, waiting only the low ones. */
const LAYERS = [
  [0.06, 0.28],
  [0.28, 0.6],
  [0.6, 0.8],
  [0.8, 0.94],
];
const ALL = 0b1111;
const LOW = 0b1100;
const LOWEST = 0b1000;
const TOP = 0b0001;

/** What a row of tasks or threads shows; later ones cover earlier ones. */
function statesOf(model, mode, theme, run) {
  const { packed } = theme;
  const { series } = model;
  const state = (name, layers, colour) => ({ series: series[name], layers, colour });
  const running = theme.packedRuns[run];
  if (mode === "tasks") {
    return [
      state("taskQueued", LOW, packed.queued),
      state("taskLock", LOW, packed.lock),
      state("taskPoll", ALL, running),
      state("taskBlocking", ALL, packed.blocking),
    ];
  }
  return [
    state("threadPark", LOWEST, packed.park),
    state("threadSearch", LOW, packed.search),
    state("threadPoll", ALL, running),
    state("threadBlocking", ALL, packed.blocking),
    state("threadOff", TOP, packed.off),
  ];
}

/** Calls `visit(row, y)` for each visible row. */
function visibleRows(layout, visit) {
  for (const panel of layout.panels) {
    const first = Math.floor(panel.scroll / layout.rowHeight);
    const rows = Math.ceil((panel.height - HEADING) / layout.rowHeight) + 1;
    for (let index = first; index < Math.min(panel.count, first + rows); index += 1) {
      const y = panel.top + HEADING + index * layout.rowHeight - panel.scroll;
      if (y < panel.bottom) visit(panel, index, panel.at(index), y);
    }
  }
}

function drawRows(raster, layout, view, models, theme, ratio) {
  const width = Math.max(1, Math.round((layout.width - layout.gutter) * ratio));
  raster.resize(width, Math.round(layout.height * ratio));
  raster.clear(theme.packed.paper);
  const nsPerPixel = (view.t1 - view.t0) / width;
  const states = models.map((model, run) => statesOf(model, view.mode, theme, run));
  visibleRows(layout, (panel, index, row, y) => {
    if (row.owner < 0) return;
    const limits = {
      top: Math.round((panel.top + HEADING) * ratio),
      bottom: Math.min(raster.height, Math.round(panel.bottom * ratio)),
    };
    raster.row(
      states[row.run],
      row.owner,
      view.t0,
      nsPerPixel,
      y * ratio,
      layout.rowHeight * ratio,
      limits,
      theme.packed.paper,
    );
  });
}

/** Edges and names of slices that are wide enough, and gaps between neighbours. */
function drawSlices(context, layout, view, models, theme) {
  const scale = (layout.width - layout.gutter) / (view.t1 - view.t0);
  context.font = `11px ${theme.font}`;
  context.textBaseline = "middle";
  let labels = 0;
  visibleRows(layout, (panel, index, row, y) => {
    if (row.owner < 0 || layout.rowHeight < 11 || y < panel.top + HEADING || y + layout.rowHeight > panel.bottom)
      return;
    const model = models[row.run];
    const series = view.mode === "tasks" ? model.series.taskPoll : model.series.threadPoll;
    const first = series.after(row.owner, view.t0);
    const last = series.offset[row.owner + 1];
    for (let i = first; i < last && series.start[i] < view.t1 && labels < MOST_LABELS && i - first < 600; i += 1) {
      const left = layout.gutter + Math.max(0, (series.start[i] - view.t0) * scale);
      const right = layout.gutter + Math.min((series.end[i] - view.t0) * scale, layout.width - layout.gutter);
      if (right - left < 3) continue;
      context.fillStyle = theme.gap;
      context.fillRect(left, y + 1, 1, layout.rowHeight - 2);
      if (right - left < 34) continue;
      labels += 1;
      const event = series.event[i];
      const text =
        view.mode === "tasks"
          ? duration(series.end[i] - series.start[i])
          : model.task[event] >= 0
            ? rowLabel(model, model.task[event])
            : "?";
      context.fillStyle = theme.onRun;
      const shown = fitted(context, text, right - left - 8);
      // Part of a number would be a wrong number.
      if (shown === text || view.mode === "threads") context.fillText(shown, left + 4, y + layout.rowHeight / 2 + 1);
    }
  });
}

/** Text that is cut to a width. */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let length = Math.floor((text.length * width) / Math.max(1, context.measureText(text).width));
  while (length > 0 && context.measureText(`${text.slice(0, length)}…`).width > width) length -= 1;
  return length > 0 ? `${text.slice(0, length)}…` : "";
}

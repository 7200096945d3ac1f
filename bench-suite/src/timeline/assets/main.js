// Puts the page together.

class Page {
  constructor(models, rows) {
    this.models = models;
    this.view = new View(models, rows);
    this.byId = (id) => document.getElementById(id);
    this.canvas = this.byId("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.raster = new Raster();
    this.overview = models.map((model) => overviewShares(model, this.view.endNs, 1024));
    this.pending = false;
    this.panelKey = "";
    this.theme = readTheme(document.body, models);
    new ResizeObserver(() => this.changed()).observe(this.canvas);
    const again = () => {
      this.theme = readTheme(document.body, models);
      this.changed();
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    matchMedia("print").addEventListener("change", again);
  }

  /** Asks for a frame. */
  changed() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame((now) => {
      this.pending = false;
      this.frame(now);
    });
  }

  frame(now) {
    const { view } = this;
    if (view.playing) {
      view.tick(Math.min(100, now - this.lastFrame));
      if (!view.playing) this.showPlaying();
    }
    this.lastFrame = now;
    this.draw();
    if (view.playing) this.changed();
  }

  draw() {
    const { view, canvas, context, models, theme } = this;
    const ratio = Math.min(2, devicePixelRatio || 1);
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const layout = layOut(view, models, view.filtered, width, height);
    this.layout = layout;
    drawRows(this.raster, layout, view, models, theme, ratio);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = theme.paper;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.putImageData(this.raster.image, Math.round(layout.gutter * ratio), 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawAxis(context, layout, view, theme);
    drawSlices(context, layout, view, models, theme);
    const find = rowFinder(layout, view, models, view.filtered);
    const hidden = view.arrows ? drawArrows(context, layout, view, models, theme, find) : 0;
    if (view.path) drawPaths(context, layout, view, models, theme, find);
    drawNames(context, layout, view, models, theme);
    drawOverview(context, layout, view, models, theme, this.overview);
    drawCursor(context, layout, view, models, theme);
    this.tell(hidden);
  }

  /** The lines below the canvas. */
  tell(hidden) {
    const { view } = this;
    const span = view.t1 - view.t0;
    const text = `${instant(view.t0, span)} to ${instant(view.t1, span)}; cursor at ${instant(view.cursor, span)}`;
    this.byId("window").textContent =
      hidden > 0 ? `${text}; ${whole(hidden)} arrows not drawn: zoom in or choose a row` : text;
    // While playing, five times a second is enough to read.
    const shown = view.playing ? Math.floor(performance.now() / 200) : `${view.cursor} ${view.event}`;
    const key = `${view.mode} ${view.chosen?.run} ${view.chosen?.owner} ${shown}`;
    if (key === this.panelKey) return;
    this.panelKey = key;
    fillPanel(this.byId("story"), view, (event) => {
      view.event = event;
      view.cursor = this.models[view.chosen.run].t[event];
      view.follow();
      this.say(this.eventText(event));
      this.changed();
    });
  }

  /** Announces something to screen readers. */
  say(text) {
    this.byId("said").textContent = text;
  }

  eventText(event) {
    const model = this.models[this.view.chosen?.run ?? 0];
    return `${model.label}, ${duration(model.t[event])}: ${eventWords(model, event)}`;
  }

  step(by) {
    this.stop();
    const event = this.view.step(by);
    this.say(event < 0 ? "No event further on." : this.eventText(event));
  }

  stop() {
    this.view.playing = false;
    this.showPlaying();
  }

  togglePlay() {
    const { view } = this;
    view.playing = !view.playing;
    if (view.playing && view.cursor >= view.endNs) view.cursor = 0;
    this.lastFrame = performance.now();
    this.showPlaying();
  }

  showPlaying() {
    const { playing } = this.view;
    this.byId("play").textContent = playing ? "Pause" : "Play";
    this.byId("play").setAttribute("aria-pressed", String(playing));
  }

  toggleMode() {
    const other = this.view.mode === "tasks" ? "threads" : "tasks";
    const input = document.querySelector(`input[name="mode"][value="${other}"]`);
    input.checked = true;
    input.dispatchEvent(new Event("change"));
  }

  moveChoice(by) {
    this.view.moveChoice(by);
    this.sayChoice();
    this.showChoice();
  }

  nextRun() {
    this.view.nextRun();
    this.sayChoice();
    this.showChoice();
  }

  sayChoice() {
    const { view } = this;
    if (view.chosen === null) return;
    const model = this.models[view.chosen.run];
    const facts = view.mode === "tasks" ? story(model, view.chosen.owner) : threadFacts(model, view.chosen.owner);
    const name = view.mode === "tasks" ? rowLabel(model, view.chosen.owner) : threadName(model, view.chosen.owner);
    this.say(`${name}, ${model.label}. ${facts.map(([what, text]) => `${what}: ${text}`).join(". ")}`);
  }

  /** Scrolls to the chosen row. */
  showChoice() {
    const { view, layout } = this;
    if (view.chosen === null) return;
    const run = view.chosen.run;
    const single = view.mode === "tasks" && view.arrange === "task";
    const panel = layout.panels[single ? 0 : run];
    let index = view.chosen.owner;
    if (view.mode === "tasks") {
      const model = this.models[run];
      index = view.filtered.indexOf(model.rows[model.rowOfTask[view.chosen.owner]]);
      if (single) index = index * this.models.length + run;
    }
    const y = index * layout.rowHeight;
    const room = panel.height - HEADING - layout.rowHeight;
    if (y < panel.scroll) this.scrollTo(y);
    else if (y > panel.scroll + room) this.scrollTo(y - room);
  }

  scrollTo(scroll) {
    this.view.scroll = Math.max(0, Math.min(scroll, this.layout.mostScroll));
  }

  search(text) {
    const { view } = this;
    const count = view.filter(text);
    this.byId("matches").textContent =
      text.trim() === "" ? "" : `${whole(count)} of ${whole(view.rows.length)} tasks`;
    this.changed();
  }

  chooseFirst() {
    const { view } = this;
    const row = view.filtered[0];
    if (row === undefined) return;
    if (view.mode !== "tasks") this.toggleMode();
    const run = row.at.findIndex((at) => at >= 0);
    view.choose(run, row.at[run]);
    this.canvas.focus();
    this.sayChoice();
    this.changed();
  }

  timeAt(x) {
    const { layout, view } = this;
    return view.t0 + ((x - layout.gutter) / (layout.width - layout.gutter)) * (view.t1 - view.t0);
  }

  centreOnOverview(x) {
    const { layout, view } = this;
    const middle = ((x - layout.gutter) / (layout.width - layout.gutter)) * view.endNs;
    const half = (view.t1 - view.t0) / 2;
    view.show(middle - half, middle + half);
    this.changed();
  }

  click({ x, y }) {
    const { view } = this;
    const row = rowAtHeight(this.layout, y);
    if (row !== null && row.owner >= 0) view.choose(row.run, row.owner);
    else if (y > this.layout.top) view.choose(0, -1);
    if (x > this.layout.gutter) view.cursor = Math.max(0, this.timeAt(x));
    this.sayChoice();
    this.changed();
  }

  hover({ x, y }) {
    const tip = this.byId("tip");
    const row = this.layout === undefined ? null : rowAtHeight(this.layout, y);
    if (row === null || row.owner < 0) {
      this.hideTip();
      return;
    }
    tip.replaceChildren(
      ...underPointer(this.view, row, x > this.layout.gutter ? this.timeAt(x) : -1).map((line) =>
        element("div", line),
      ),
    );
    tip.hidden = false;
    const left = x + 16 + tip.offsetWidth > this.layout.width ? Math.max(0, x - 12 - tip.offsetWidth) : x + 16;
    tip.style.transform = `translate(${left}px, ${Math.min(y + 14, this.layout.height - tip.offsetHeight)}px)`;
  }

  hideTip() {
    this.byId("tip").hidden = true;
  }
}

/** Says above the picture what may be missing. */
function warnings(models) {
  const list = document.getElementById("warnings");
  for (const model of models) {
    if (model.dropped > 0) {
      list.append(
        element(
          "li",
          `${model.label}: ${whole(model.dropped)} events were dropped because a ring was full. ` +
            "Its timeline has gaps; what looks idle may have been busy.",
        ),
      );
    }
    if (model.missing.length > 0) {
      list.append(
        element(
          "li",
          `${model.label} does not tell the recorder of: ${model.missing.join(", ")}. ` +
            "They may have happened where nothing is drawn.",
        ),
      );
    }
    if (model.unfinished > 0) {
      list.append(
        element(
          "li",
          `${model.label}: polls whose end is not recorded: ${whole(model.unfinished)}. ` +
            "They are drawn up to the next poll of their thread.",
        ),
      );
    }
    if (model.count === 0) list.append(element("li", `${model.label}: no event was recorded.`));
  }
  list.hidden = list.children.length === 0;
}

async function start() {
  const data = JSON.parse(document.getElementById("trace").textContent);
  const models = [];
  for (const run of data.runs) models.push(buildModel(await decodeRun(run)));
  const rows = matchTasks(models);
  for (const model of models) model.rows = rows;
  warnings(models);
  fillTable(document.getElementById("figures"), models);
  const page = new Page(models, rows);
  connect(page);
  document.getElementById("arrange").hidden = models.length < 2;
  page.draw();
  document.body.dataset.ready = "true";
}

start().catch((error) => {
  const said = document.getElementById("said");
  said.className = "incomplete";
  said.textContent = `This page can't show its trace: ${error.message}.`;
});

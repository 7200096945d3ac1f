// The state of the page, and the operations on it. Nothing here touches the document.

const LEAST_SPAN_NS = 20;

class View {
  constructor(models, rows) {
    this.models = models;
    this.rows = rows;
    this.filtered = rows;
    this.endNs = Math.max(1, ...models.map((model) => model.endNs));
    this.t0 = 0;
    this.t1 = this.endNs * 1.01;
    this.scroll = 0;
    this.rowHeight = 18;
    this.mode = "tasks";
    this.arrange = "model";
    this.arrows = true;
    this.path = false;
    this.cursor = 0;
    this.chosen = null;
    this.event = -1;
    this.playing = false;
    this.speed = 0;
  }

  /** Shows `[t0, t1]`, moved and stretched so that it stays within the runs. */
  show(t0, t1) {
    const most = this.endNs * 1.01;
    const span = Math.min(most, Math.max(LEAST_SPAN_NS, t1 - t0));
    const from = Math.min(Math.max(0, (t0 + t1 - span) / 2), most - span);
    this.t0 = from;
    this.t1 = from + span;
  }

  zoom(factor, around) {
    this.show(around + (this.t0 - around) * factor, around + (this.t1 - around) * factor);
  }

  pan(share) {
    const step = (this.t1 - this.t0) * share;
    this.show(this.t0 + step, this.t1 + step);
  }

  fit() {
    this.show(0, this.endNs * 1.01);
  }

  /** Brings the cursor into view without changing the scale. */
  follow() {
    const span = this.t1 - this.t0;
    if (this.cursor < this.t0 || this.cursor > this.t1) this.show(this.cursor - span * 0.3, this.cursor + span * 0.7);
  }

  choose(run, owner) {
    this.chosen = owner < 0 ? null : { run, owner };
    this.event = -1;
  }

  setMode(mode) {
    this.mode = mode;
    this.chosen = null;
    this.event = -1;
    this.scroll = 0;
  }

  filter(text) {
    this.filtered = matchingRows(this.rows, text);
    this.scroll = 0;
    return this.filtered.length;
  }

  /** The events that a step goes through: the chosen row's, or all of the first run. */
  scope() {
    const run = this.chosen?.run ?? 0;
    const model = this.models[run];
    if (this.chosen === null) return { run, count: model.count, at: (k) => k };
    const { offset, item } = this.mode === "tasks" ? model.byTask : model.byThread;
    const first = offset[this.chosen.owner];
    return { run, count: offset[this.chosen.owner + 1] - first, at: (k) => item[first + k] };
  }

  /** Moves the cursor to the next event (`by` 1) or the one before (-1); the event's index, or -1 if there is none. */
  step(by) {
    const { run, count, at } = this.scope();
    if (count === 0) return -1;
    const { t } = this.models[run];
    let low = 0;
    let high = count;
    // The first event of the scope that is not before the cursor; events at the same time are ordered by index.
    const isBefore = (i) => (this.event >= 0 ? i < this.event : t[i] < this.cursor);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(at(middle))) low = middle + 1;
      else high = middle;
    }
    const onEvent = this.event >= 0 && low < count && at(low) === this.event;
    const k = by > 0 ? low + (onEvent ? 1 : 0) : low - 1;
    if (k < 0 || k >= count) return -1;
    this.event = at(k);
    this.cursor = t[this.event];
    this.follow();
    return this.event;
  }

  /** The row above or below the chosen one, among those that this run has. */
  moveChoice(by) {
    const run = this.chosen?.run ?? 0;
    const model = this.models[run];
    if (this.mode === "threads") {
      const lanes = this.models.flatMap((one, index) => one.threads.map((_, owner) => ({ run: index, owner })));
      const now = lanes.findIndex(
        (one) => this.chosen !== null && one.run === this.chosen.run && one.owner === this.chosen.owner,
      );
      const next = lanes[now < 0 ? 0 : Math.min(lanes.length - 1, Math.max(0, now + by))];
      if (next !== undefined) this.choose(next.run, next.owner);
      return;
    }
    let index = this.filtered.indexOf(model.rows[model.rowOfTask[this.chosen?.owner ?? -1]]);
    do index += by;
    while (this.filtered[index] !== undefined && this.filtered[index].at[run] < 0);
    if (this.filtered[index] !== undefined) this.choose(run, this.filtered[index].at[run]);
  }

  /** The same task under the next runtime. */
  nextRun() {
    if (this.models.length < 2) return;
    const run = ((this.chosen?.run ?? -1) + 1) % this.models.length;
    if (this.mode === "threads" || this.chosen === null) {
      this.choose(run, this.mode === "threads" ? 0 : (this.filtered[0]?.at[run] ?? -1));
      return;
    }
    const row = this.models[this.chosen.run].rows[this.models[this.chosen.run].rowOfTask[this.chosen.owner]];
    for (let step = 0; step < this.models.length; step += 1) {
      const other = (run + step) % this.models.length;
      if (row.at[other] >= 0) {
        this.choose(other, row.at[other]);
        return;
      }
    }
  }

  /** Moves time on while playing. */
  tick(elapsedMs) {
    this.cursor += (elapsedMs / 1000) * this.speed;
    this.event = -1;
    if (this.cursor >= this.endNs) {
      this.cursor = this.endNs;
      this.playing = false;
    }
    this.follow();
  }
}

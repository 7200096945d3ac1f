// The data behind a canvas row, for any number of events: slices of time grouped by owner (a task or a thread), with
// running sums. How much of a pixel a state fills is the difference of two sums, so the cost of a frame depends on its
// pixels only, at every zoom, however many slices a pixel covers.

/** Collects slices in the order of their ends. */
class SliceCollector {
  constructor() {
    this.owner = [];
    this.start = [];
    this.end = [];
    this.event = [];
  }

  add(owner, start, end, event) {
    this.owner.push(owner);
    this.start.push(start);
    this.end.push(end);
    this.event.push(event);
  }
}

/** Positions of `owners` groups in one array, and where each item goes: a counting sort that keeps the order. */
function grouped(ownerOf, owners) {
  const offset = new Uint32Array(owners + 1);
  for (const owner of ownerOf) if (owner >= 0) offset[owner + 1] += 1;
  for (let owner = 0; owner < owners; owner += 1) offset[owner + 1] += offset[owner];
  const next = offset.slice(0, owners);
  const item = new Uint32Array(offset[owners]);
  for (let index = 0; index < ownerOf.length; index += 1) {
    const owner = ownerOf[index];
    if (owner >= 0) {
      item[next[owner]] = index;
      next[owner] += 1;
    }
  }
  return { offset, item };
}

/** The slices of one state, of all owners. */
class Series {
  constructor(collector, owners) {
    const { offset, item } = grouped(collector.owner, owners);
    const count = item.length;
    this.offset = offset;
    this.start = new Float64Array(count);
    this.end = new Float64Array(count);
    this.event = new Uint32Array(count);
    /** `sum[i]`: the time in all slices before `i`. */
    this.sum = new Float64Array(count + 1);
    for (let i = 0; i < count; i += 1) {
      const from = item[i];
      this.start[i] = collector.start[from];
      this.end[i] = collector.end[from];
      this.event[i] = collector.event[from];
      this.sum[i + 1] = this.sum[i] + this.end[i] - this.start[i];
    }
  }

  /** How many slices an owner has. */
  count(owner) {
    return this.offset[owner + 1] - this.offset[owner];
  }

  /** The time an owner spent in this state. */
  total(owner) {
    return this.sum[this.offset[owner + 1]] - this.sum[this.offset[owner]];
  }

  /** The first slice of `owner` that ends after `time`; the position after its last one if none does. */
  after(owner, time) {
    return firstAbove(this.end, this.offset[owner], this.offset[owner + 1], time);
  }

  /** The slice of `owner` at `time`, or -1. */
  at(owner, time) {
    const index = this.after(owner, time);
    return index < this.offset[owner + 1] && this.start[index] <= time ? index : -1;
  }

  /** The longest slice of an owner. */
  longest(owner) {
    let most = 0;
    for (let i = this.offset[owner]; i < this.offset[owner + 1]; i += 1)
      most = Math.max(most, this.end[i] - this.start[i]);
    return most;
  }

  /**
   * Writes into `share` how much of each of its pixels `owner` spends in this state, from 0 to 1; false if it is never
   * in it. A slice that is much shorter than a pixel still shows.
   */
  shares(owner, t0, nsPerPixel, share) {
    const last = this.offset[owner + 1];
    let index = this.after(owner, t0);
    const width = share.length;
    if (index === last || this.start[index] >= t0 + width * nsPerPixel) return false;
    const { start, end, sum } = this;
    let before = sum[index] + Math.max(0, t0 - start[index]);
    for (let x = 0; x < width; x += 1) {
      const right = t0 + (x + 1) * nsPerPixel;
      const first = index;
      if (index < last && end[index] <= right) index = gallop(end, index, last, right);
      const begun = index < last && start[index] < right;
      const until = sum[index] + (begun ? right - start[index] : 0);
      const part = (until - before) / nsPerPixel;
      before = until;
      share[x] = begun || index > first ? Math.min(1, Math.max(part, 0.4)) : 0;
    }
    return true;
  }
}

/** The first position in `[low, high)` whose value is above `limit`, in a rising array. */
function firstAbove(values, low, high, limit) {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** As `firstAbove`, for a position that is probably near `low`. */
function gallop(values, low, high, limit) {
  let step = 1;
  let reach = low;
  while (reach + step < high && values[reach + step] <= limit) {
    reach += step;
    step *= 2;
  }
  return firstAbove(values, reach, Math.min(high, reach + step + 1), limit);
}

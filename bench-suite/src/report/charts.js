"use strict";
// Draws charts of a section as SVG: values (median, its interval, each round), ratios with intervals, cost, latency.
// Colours are the style sheet's variables, so they follow the theme and the printer without a new drawing.
const labCharts = (() => {
  const short = (value) => Number(Number(value).toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
  const colour = (row) => `var(--run-${row.hue})`;

  // Text in lines of about `width` pixels. A row has room for three.
  const lines = (text, width) => {
    const most = Math.max(10, Math.floor(width / 6.4));
    const wrapped = [];
    for (const word of text.split(" ")) {
      const last = wrapped.length - 1;
      if (last < 0 || (wrapped[last].length + 1 + word.length > most && last < 2)) wrapped.push(word);
      else wrapped[last] += ` ${word}`;
    }
    return wrapped;
  };

  // What all charts with one row per arm have in common.
  const rowed = (rows, width, title, x, marks, spoken) => {
    const room = Math.max(width / 3, 90);
    const labels = rows.map((row) => lines(row.label, room));
    const longest = Math.max(...labels.flat().map((line) => line.length));
    const most = Math.max(...labels.map((label) => label.length));
    return Plot.plot({
      width,
      height: 62 + rows.length * Math.max(30, 14 * most + 6),
      marginLeft: 14 + Math.ceil(longest * 6.4),
      marginRight: 20,
      marginTop: 30,
      marginBottom: 32,
      style: { background: "transparent", color: "var(--ink)", fontSize: "11px", overflow: "visible" },
      ariaLabel: spoken,
      x: { grid: true, label: null, tickSpacing: 60, tickFormat: short, ...x },
      y: { type: "band", domain: rows.map((row) => row.label), label: null, tickSize: 0, padding: 0.35 },
      color: { type: "identity" },
      marks: [
        Plot.axisY({
          tickSize: 0,
          label: null,
          tickFormat: (label) => lines(label, room).join("\n"),
          fill: "var(--ink)",
        }),
        Plot.text([title], {
          text: (words) => words,
          frameAnchor: "top-left",
          dy: -24,
          textAnchor: "start",
          fontSize: 13,
          fontWeight: 600,
          fill: "var(--ink)",
        }),
        ...marks,
      ],
    });
  };

  const values = (section, width) => {
    const { rows } = section;
    const unit = section.unit === "" ? "" : ` ${section.unit}`;
    const points = rows.flatMap((row) => row.points.map((value, round) => ({ row, label: row.label, value, round })));
    const all = [...points.map((point) => point.value), ...rows.map((row) => row.median)].filter(
      (value) => value > 0,
    );
    const axis = section.logarithmic
      ? { type: "log", domain: [Math.min(...all) / 1.5, Math.max(...all) * 1.5] }
      : { type: "linear", domain: [0, Math.max(...all) * 1.04] };
    // A bar's length means nothing on a logarithmic axis, so draw a mark instead.
    const median = section.logarithmic
      ? Plot.tickX(rows, { x: "median", y: "label", stroke: colour, strokeWidth: 5 })
      : Plot.barX(rows, {
          x: "median",
          y: "label",
          fill: colour,
          fillOpacity: (row) => (row.kind === "repeat" ? 0.45 : 0.9),
        });
    const spoken = rows.map(
      (row) => `${row.label}: median ${short(row.median)}${unit} of ${row.points.length} rounds`,
    );
    const title = section.unit === "" ? section.title : `${section.title}, ${section.unit}`;
    // Spread up and down a little, so that rounds with the same value can be distinguished.
    const dots = [-5, 0, 5].map((dy, third) =>
      Plot.dot(
        points.filter((point) => point.round % 3 === third),
        { x: "value", y: "label", dy, r: 2.4, fill: "var(--paper)", stroke: "var(--ink)", strokeWidth: 0.9 },
      ),
    );
    const interval = rows.filter((row) => row.interval !== null);
    const ends = { y: "label", stroke: "var(--ink)", strokeWidth: 2, insetTop: -3, insetBottom: -3 };
    return rowed(
      rows,
      width,
      title,
      axis,
      [
        median,
        ...dots,
        Plot.ruleY(interval, {
          y: "label",
          x1: (row) => row.interval[0],
          x2: (row) => row.interval[1],
          stroke: "var(--ink)",
          strokeWidth: 2,
        }),
        ...[0, 1].map((end) => Plot.tickX(interval, { ...ends, x: (row) => row.interval[end] })),
      ],
      `${title}. ${spoken.join("; ")}.`,
    );
  };

  const ratios = (section, width) => {
    const rows = section.rows.filter((row) => row.kind === "baseline" || row.ratio !== null);
    const edges = rows.flatMap((row) => [row.ratio, ...(row.ci95 ?? [])]).filter((value) => value > 0);
    // 1 is always visible. A very wide interval is cut off at the edge.
    const middle = rows.map((row) => row.ratio).filter((value) => value > 0);
    const low = Math.max(Math.min(0.8, ...edges), Math.min(1, ...middle) / 8) / 1.08;
    const high = Math.min(Math.max(1.25, ...edges), Math.max(1, ...middle) * 8) * 1.08;
    const inside = (value) => Math.min(high, Math.max(low, value));
    const floor = section.noiseFloor
      ? [{ low: inside(1 / (1 + section.noiseFloor)), high: inside(1 + section.noiseFloor) }]
      : [];
    const wide = rows.filter((row) => row.ci95 !== null);
    // An interval that extends beyond the axis gets no end mark there.
    const ends = (end) => wide.filter((row) => row.ci95[end] === inside(row.ci95[end]));
    const title = `ratio to ${section.baseline ?? "the baseline"}, 95% interval`;
    const spoken = rows.map((row) => {
      if (row.kind === "baseline") return `${row.label} is the baseline`;
      return row.ci95
        ? `${row.label}: ${short(row.ratio)} times, from ${short(row.ci95[0])} to ${short(row.ci95[1])}`
        : `${row.label}: ${short(row.ratio)} times`;
    });
    return rowed(
      rows,
      width,
      title,
      {
        type: "log",
        domain: [low, high],
        ticks: ratioTicks(low, high, width),
        tickFormat: (value) => `${short(value)}x`,
      },
      [
        Plot.rect(floor, { x1: "low", x2: "high", fill: "var(--band)" }),
        Plot.ruleX([1], { stroke: "var(--grey)" }),
        Plot.ruleY(wide, {
          y: "label",
          x1: (row) => inside(row.ci95[0]),
          x2: (row) => inside(row.ci95[1]),
          stroke: colour,
          strokeWidth: 3,
        }),
        ...[0, 1].map((end) =>
          Plot.tickX(ends(end), {
            y: "label",
            x: (row) => row.ci95[end],
            stroke: colour,
            strokeWidth: 2,
            insetTop: 2,
            insetBottom: 2,
          }),
        ),
        Plot.dot(rows, {
          y: "label",
          x: (row) => inside(row.ratio ?? 1),
          r: 5,
          fill: colour,
          stroke: "var(--paper)",
        }),
      ],
      `${title}. ${spoken.join("; ")}.`,
    );
  };

  // Always 1, and as many others as fit.
  const ratioTicks = (min, max, width) => {
    const span = max / min;
    const steps =
      span > 100
        ? [1]
        : span > 6
          ? [1, 2, 5]
          : span > 2
            ? [0.5, 0.8, 1, 1.25, 1.5, 2, 3, 4]
            : [0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5];
    const decades = span > 6 ? [-4, -3, -2, -1, 0, 1, 2, 3, 4] : [0];
    const all = decades.flatMap((decade) => steps.map((step) => Number((step * 10 ** decade).toPrecision(3))));
    const inside = all.filter((value) => value >= min && value <= max);
    const every = Math.ceil(inside.length / Math.max(2, Math.floor((width * 0.6) / 44)));
    const one = inside.indexOf(1);
    return inside.filter((_, index) => (index - one) % every === 0);
  };

  const cost = (section, width, metric) => {
    const of = section.cost[metric];
    const rows = section.rows.filter((row) => row.kind !== "repeat" && row[metric] !== null);
    const text = (row) => `${short(row[metric])} ${of.unit}`;
    return rowed(
      rows,
      width,
      of.title,
      { type: "linear", domain: [0, Math.max(...rows.map((row) => row[metric])) * 1.25], ticks: 3 },
      [
        Plot.barX(rows, { x: metric, y: "label", fill: colour, fillOpacity: 0.9 }),
        Plot.text(rows, { x: metric, y: "label", text, textAnchor: "start", dx: 5, fill: "var(--ink)" }),
      ],
      `${of.title}. ${rows.map((row) => `${row.label}: ${text(row)}`).join("; ")}.`,
    );
  };

  const SYMBOLS = ["circle", "square", "triangle", "diamond", "star", "wye", "cross"];
  const POINTS = ["p50", "p90", "p99", "p99.9", "max"];

  const latency = (section, width) => {
    const rows = section.rows.filter((row) => row.latency !== null && row.kind !== "repeat");
    const points = rows.flatMap((row, index) =>
      row.latency.map((value, at) => ({
        row,
        label: row.label,
        symbol: SYMBOLS[index % SYMBOLS.length],
        at: POINTS[at],
        value,
      })),
    );
    const time = (ns) => {
      const [divisor, unit] = ns < 1e3 ? [1, "ns"] : ns < 1e6 ? [1e3, "µs"] : ns < 1e9 ? [1e6, "ms"] : [1e9, "s"];
      return `${short(ns / divisor)} ${unit}`;
    };
    const spoken = rows.map(
      (row) => `${row.label}: ${row.latency.map((value, at) => `${POINTS[at]} ${time(value)}`).join(", ")}`,
    );
    const stroke = (point) => colour(point.row);
    const end = points.filter((point) => point.at === "max");
    end.sort((one, other) => one.value - other.value);
    const chart = Plot.plot({
      width,
      height: 280,
      marginLeft: 56,
      marginRight: Math.min(width / 3, 14 + 6.6 * Math.max(...rows.map((row) => row.label.length))),
      style: { background: "transparent", color: "var(--ink)", fontSize: "11px", overflow: "visible" },
      ariaLabel: `Latency by percentile. ${spoken.join("; ")}.`,
      x: { type: "point", domain: POINTS, label: null, padding: 0.1 },
      y: {
        type: "log",
        grid: true,
        label: null,
        tickFormat: time,
        ticks: timeTicks(points.map((point) => point.value)),
      },
      color: { type: "identity" },
      symbol: { type: "identity" },
      marks: [
        Plot.lineY(points, { x: "at", y: "value", z: "label", stroke, strokeWidth: 2 }),
        Plot.dot(points, { x: "at", y: "value", fill: stroke, symbol: "symbol", r: 4 }),
      ],
    });
    endLabels(chart, end);
    return chart;
  };

  // 1, 2 and 5 of each decade, or only 1 if there are many decades.
  const timeTicks = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const ticks = [];
    for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10) {
      ticks.push(...(high / low > 1000 ? [1] : [1, 2, 5]).map((step) => step * decade));
    }
    return ticks.filter((tick) => tick >= low && tick <= high);
  };

  // Names at the ends of lines, moved apart where they would overlap.
  const endLabels = (chart, points) => {
    const x = chart.scale("x").apply("max") + 10;
    const scale = chart.scale("y");
    let below = Infinity;
    for (const point of points) {
      below = Math.min(scale.apply(point.value), below - 13);
      const text = document.createElementNS(chart.namespaceURI, "text");
      text.setAttribute("x", x);
      text.setAttribute("y", below + 4);
      text.setAttribute("text-anchor", "start");
      text.setAttribute("fill", colour(point.row));
      text.textContent = point.label;
      chart.append(text);
    }
  };

  const kinds = {
    values,
    ratios,
    latency,
    cpu: (section, width) => cost(section, width, "cpu"),
    memory: (section, width) => cost(section, width, "memory"),
  };

  /** Draws the chart of this kind into a figure, as wide as that is. */
  const draw = (figure, kind, section) => {
    const width = Math.max(260, Math.floor(figure.clientWidth));
    const chart = kinds[kind](section, width);
    // One picture with one description: a screen reader would otherwise read every tick.
    chart.setAttribute("role", "img");
    chart.querySelectorAll("[aria-label]").forEach((part) => part.removeAttribute("aria-label"));
    figure.replaceChildren(chart);
  };

  return { draw };
})();

"use strict";
// Draws each section's two charts: values (median and rounds) and ratios (with intervals).
(() => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const kindColour = { baseline: "--grey", repeat: "--pale", arm: "--accent" };
  const short = (value) => Number(Number(value).toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });

  // Text in lines of about `width` pixels: a canvas would cut off what is longer. A row has room for three.
  const lines = (text, width) => {
    const most = Math.max(10, Math.floor(width / 6.4));
    const wrapped = [];
    for (const word of text.split(" ")) {
      const last = wrapped.length - 1;
      if (last < 0 || (wrapped[last].length + 1 + word.length > most && last < 2)) wrapped.push(word);
      else wrapped[last] += ` ${word}`;
    }
    return wrapped.length === 1 ? wrapped[0] : wrapped;
  };
  const labels = (section, width) => section.rows.map((row) => lines(row.label, Math.max(width / 3, 90)));

  // Vertical centre of a row, whether or not it has a bar.
  const rowY = (chart, index) => chart.scales.y.getPixelForValue(index);

  const dot = (context, x, y, radius, fill, edge) => {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = fill;
    context.fill();
    context.lineWidth = 1;
    context.strokeStyle = edge;
    context.stroke();
  };

  const rounds = (section) => ({
    id: "rounds",
    afterDatasetsDraw(chart) {
      const context = chart.ctx;
      section.rows.forEach((row, index) => {
        const y = rowY(chart, index);
        if (section.logarithmic) {
          const x = chart.scales.x.getPixelForValue(row.median);
          context.fillStyle = colour(kindColour[row.kind]);
          context.fillRect(x - 2, y - 11, 4, 22);
        }
        // Spread up and down a little, so that rounds with the same value can be told apart.
        row.points.forEach((value, round) => {
          const x = chart.scales.x.getPixelForValue(value);
          dot(context, x, y + ((round % 3) - 1) * 5, 2.6, colour("--paper"), colour("--ink"));
        });
      });
    },
  });

  const intervals = (section) => ({
    id: "intervals",
    beforeDatasetsDraw(chart) {
      const { ctx: context, chartArea: area, scales } = chart;
      const at = (ratio) => Math.min(Math.max(scales.x.getPixelForValue(ratio), area.left), area.right);
      if (section.noiseFloor) {
        const low = at(1 / (1 + section.noiseFloor));
        const high = at(1 + section.noiseFloor);
        context.fillStyle = colour("--band");
        context.fillRect(low, area.top, Math.max(high - low, 1), area.bottom - area.top);
      }
      context.fillStyle = colour("--grey");
      context.fillRect(at(1) - 0.5, area.top, 1, area.bottom - area.top);
    },
    afterDatasetsDraw(chart) {
      const { ctx: context, chartArea: area, scales } = chart;
      section.rows.forEach((row, index) => {
        const ratio = row.kind === "baseline" ? 1 : row.ratio;
        if (ratio === null) return;
        const y = rowY(chart, index);
        const ink = colour(kindColour[row.kind]);
        if (row.ci95) {
          // What goes beyond the axis is cut off there, without the mark of an end.
          const edges = row.ci95.map((edge) => scales.x.getPixelForValue(edge));
          const [low, high] = edges.map((edge) => Math.min(Math.max(edge, area.left), area.right));
          context.fillStyle = ink;
          context.fillRect(low, y - 1.5, high - low, 3);
          if (low === edges[0]) context.fillRect(low - 1, y - 6, 2, 12);
          if (high === edges[1]) context.fillRect(high - 1, y - 6, 2, 12);
        }
        dot(context, scales.x.getPixelForValue(ratio), y, 5, ink, colour("--paper"));
      });
    },
  });

  const options = (title, width, axis, tooltip) => ({
    indexAxis: "y",
    responsive: true,
    maintainAspectRatio: false,
    animation: false,
    plugins: {
      legend: { display: false },
      title: {
        display: true,
        text: lines(title, width - 20),
        color: colour("--ink"),
        align: "start",
        font: { size: 13 },
      },
      tooltip: { callbacks: { label: tooltip } },
    },
    scales: {
      x: {
        grid: { color: colour("--line") },
        ...axis,
        ticks: { color: colour("--quiet"), maxRotation: 0, autoSkipPadding: 14, callback: short, ...axis.ticks },
      },
      y: { grid: { display: false }, ticks: { color: colour("--ink"), autoSkip: false, font: { size: 11 } } },
    },
  });

  const values = (section, width) => {
    const all = section.rows.flatMap((row) => [...row.points, row.median]).filter((value) => value > 0);
    const axis = section.logarithmic
      ? {
          type: "logarithmic",
          min: Math.min(...all) / 1.5,
          max: Math.max(...all) * 1.5,
          afterBuildTicks: (axis) => {
            axis.ticks = valueTicks(axis.min, axis.max, width);
          },
        }
      : { type: "linear", beginAtZero: true, grace: "4%", suggestedMax: Math.max(...all) };
    return {
      type: "bar",
      data: {
        labels: labels(section, width),
        datasets: [
          {
            data: section.rows.map((row) => row.median),
            // A bar's length means nothing on a logarithmic axis: a mark stands there instead.
            backgroundColor: section.rows.map((row) =>
              section.logarithmic ? "transparent" : colour(kindColour[row.kind]),
            ),
            maxBarThickness: 20,
          },
        ],
      },
      options: options(
        section.unit ? `${section.title}, ${section.unit}` : section.title,
        width,
        axis,
        (item) => `median ${short(section.rows[item.dataIndex].median)} ${section.unit}`,
      ),
      plugins: [rounds(section)],
    };
  };

  const ratios = (section, width) => {
    const edges = section.rows.flatMap((row) => [row.ratio, ...(row.ci95 ?? [])]).filter((value) => value > 0);
    // Symmetrical around nothing, but 1 is always in sight; an absurdly wide interval is cut at the edge.
    const middle = section.rows.map((row) => row.ratio).filter((value) => value > 0);
    const low = Math.max(Math.min(0.8, ...edges), Math.min(1, ...middle) / 8);
    const high = Math.min(Math.max(1.25, ...edges), Math.max(1, ...middle) * 8);
    return {
      type: "bar",
      data: {
        labels: labels(section, width),
        datasets: [{ data: section.rows.map((row) => row.ratio ?? 1), backgroundColor: "transparent" }],
      },
      options: options(
        `ratio to ${section.baseline ?? "the baseline"}, 95% interval`,
        width,
        {
          type: "logarithmic",
          min: low / 1.08,
          max: high * 1.08,
          afterBuildTicks: (axis) => {
            axis.ticks = ratioTicks(axis.min, axis.max);
          },
          ticks: { callback: (value) => `${short(value)}x` },
        },
        (item) => {
          const row = section.rows[item.dataIndex];
          if (row.kind === "baseline") return "baseline";
          return row.ci95 ? `${short(row.ratio)}x [${row.ci95.map(short).join(", ")}]` : `${short(row.ratio)}x`;
        },
      ),
      plugins: [intervals(section)],
    };
  };

  // Chart.js puts a tick at every tenth of a decade: few of them fit. Always 1, and as many others as the span leaves room for.
  const ratioTicks = (min, max) => {
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
    return decades
      .flatMap((decade) => steps.map((step) => step * 10 ** decade))
      .filter((value) => value >= min && value <= max)
      .map((value) => ({ value }));
  };

  // As above for values: 1, 2 and 5 of each decade if they have room side by side, else fewer, and at last not every decade.
  const valueTicks = (min, max, width) => {
    const room = Math.max(2, Math.floor((width * 0.6) / 56));
    const first = Math.floor(Math.log10(min));
    const last = Math.ceil(Math.log10(max));
    const between = (steps, stride) => {
      const ticks = [];
      for (let decade = first; decade <= last; decade += stride) {
        for (const step of steps) ticks.push(step * 10 ** decade);
      }
      return ticks.filter((value) => value >= min && value <= max);
    };
    const choices = [
      [[1, 2, 5], 1],
      [[1, 3], 1],
      [[1], 1],
      [[1], 2],
      [[1], 3],
    ].map(([steps, stride]) => between(steps, stride));
    const fitting = choices.find((ticks) => ticks.length <= room && ticks.length > 0) ?? choices[choices.length - 1];
    return fitting.map((value) => ({ value }));
  };

  let charts = [];
  const draw = () => {
    charts.forEach((chart) => chart.destroy());
    charts = [...document.querySelectorAll("canvas[data-chart]")].map((canvas) => {
      const section = data[Number(canvas.dataset.chart)];
      const width = canvas.parentElement.clientWidth;
      return new Chart(canvas, canvas.dataset.kind === "ratios" ? ratios(section, width) : values(section, width));
    });
  };
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  draw();
  // Colours come from the style sheet, so they follow the theme and the printer.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  matchMedia("print").addEventListener("change", draw);
})();

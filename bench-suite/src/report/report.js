"use strict";
// The report's own script. It draws the charts, and redraws them when their width changes, and builds the tables
// of raw runs.
(() => {
  const data = (id) => JSON.parse(document.getElementById(id).textContent);
  const sections = data("chart-data");
  const runs = data("run-data");

  const draw = (figure) => {
    const width = String(figure.clientWidth);
    if (figure.dataset.width === width) return;
    figure.dataset.width = width;
    labCharts.draw(figure, figure.dataset.kind, sections[Number(figure.dataset.chart)]);
  };
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  figures.forEach(draw);
  const watch = new ResizeObserver((entries) => entries.forEach((entry) => draw(entry.target)));
  figures.forEach((figure) => watch.observe(figure));

  // Tables of raw runs are long, so each is built when you open it.
  const cell = (row, text, name = "td") => {
    const made = document.createElement(name);
    made.textContent = text ?? "–";
    row.append(made);
    return made;
  };
  for (const details of document.querySelectorAll("details[data-runs]")) {
    details.addEventListener(
      "toggle",
      () => {
        const { columns, rows } = runs[Number(details.dataset.runs)];
        const table = document.createElement("table");
        const head = table.createTHead().insertRow();
        columns.forEach((column, index) => {
          const title = cell(head, column, "th");
          title.scope = "col";
          title.className = index > 2 ? "figure" : "";
        });
        const body = table.createTBody();
        for (const values of rows) {
          const row = body.insertRow();
          values.forEach((value, index) => {
            if (index === 0) cell(row, value, "th").scope = "row";
            else cell(row, value).className = index > 2 ? "figure" : "";
          });
        }
        details.querySelector(".scroll").append(table);
      },
      { once: true },
    );
  }
})();

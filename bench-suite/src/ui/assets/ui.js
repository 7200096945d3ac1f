"use strict";
// The live page: choices, the state as it arrives, stored results, and two of them side by side.
(() => {
  const byId = (id) => document.getElementById(id);
  const made = (name, text, className) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (className !== undefined) element.className = className;
    return element;
  };

  // Choices.
  const choices = JSON.parse(byId("choices").textContent);
  const START = { workloads: ["spawn", "yield", "pingpong"], runtimes: ["n1", "mn", "threads"] };
  const box = (kind, one) => {
    const label = made("label");
    label.title = one.about;
    const input = made("input");
    input.type = "checkbox";
    input.name = kind;
    input.value = one.name;
    input.checked = START[kind].includes(one.name);
    label.append(input);
    if (one.hue !== undefined) {
      const swatch = made("span", undefined, "swatch");
      swatch.style.background = `var(--run-${one.hue})`;
      label.append(swatch);
    }
    label.append(one.name);
    return label;
  };
  const group = (place, title, kind, all) => {
    const row = made("div", undefined, "group");
    row.append(made("span", title), ...all.map((one) => box(kind, one)));
    byId(place).append(row);
  };
  for (const title of new Set(choices.workloads.map((one) => one.group))) {
    group(
      "workloads",
      title,
      "workloads",
      choices.workloads.filter((one) => one.group === title),
    );
  }
  group(
    "runtimes",
    "of the lab",
    "runtimes",
    choices.runtimes.filter((one) => one.ours),
  );
  group(
    "runtimes",
    "peers",
    "runtimes",
    choices.runtimes.filter((one) => !one.ours),
  );

  // Start and stop. Shows the server's refusals.
  const post = async (path, body) => {
    byId("refused").textContent = "";
    try {
      const response = await fetch(path, { method: "POST", body: JSON.stringify(body) });
      if (!response.ok) byId("refused").textContent = await response.text();
    } catch {
      byId("refused").textContent = "The server does not answer.";
    }
  };
  const number = (id) => (byId(id).value === "" ? null : Number(byId(id).value));
  byId("choice").addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = (kind) => [...document.querySelectorAll(`input[name="${kind}"]:checked`)].map((one) => one.value);
    post("start", {
      workloads: chosen("workloads"),
      runtimes: chosen("runtimes"),
      size: number("size"),
      rounds: number("rounds"),
      quick: byId("quick").checked,
    });
  });
  byId("stop").addEventListener("click", () => post("stop", {}));

  // Sections with their charts. An existing section keeps its element, so that nothing jumps.
  const KINDS = ["values", "ratios", "cpu", "memory"];
  const hasRatio = (chart) => chart.rows.some((row) => row.ratio !== null);
  const kindsOf = (chart) =>
    KINDS.filter((kind) => {
      if (chart.rows.length === 0) return false;
      if (kind === "ratios") return hasRatio(chart);
      return kind === "values" || chart.rows.some((row) => row[kind] !== null);
    });
  const show = (place, sections) => {
    const old = new Map([...place.children].map((child) => [child.dataset.key, child]));
    const now = sections.map((section) => {
      const key = `${section.name} ${section.params}`;
      const part = old.get(key) ?? made("div");
      part.dataset.key = key;
      fill(part, section);
      return part;
    });
    place.replaceChildren(...now);
    now.forEach((part, index) => drawAll(part, sections[index].chart));
  };
  const fill = (part, section) => {
    const title = made("h3", section.name);
    title.append(" ", made("small", section.params));
    const plots = made("div", undefined, "plots");
    for (const kind of kindsOf(section.chart)) {
      const figure = made("figure");
      figure.dataset.kind = kind;
      plots.append(figure);
    }
    const list = made("ul");
    for (const row of section.rows) {
      for (const failure of row.failures) list.append(made("li", `${row.label}: ${failure}`));
    }
    const said = section.rows.filter((row) => row.verdict !== "").map((row) => `${row.label} ${row.verdict}`);
    const rounds = Math.max(0, ...section.rows.map((row) => row.rounds));
    part.replaceChildren(
      title,
      made("p", `${rounds} rounds. ${said.length > 0 ? `${said.join("; ")}.` : ""}`, "how"),
      plots,
      ...(list.children.length > 0 ? [list] : []),
    );
  };
  const drawAll = (part, chart) => {
    for (const figure of part.querySelectorAll("figure")) labCharts.draw(figure, figure.dataset.kind, chart);
  };

  // The state, as it arrives. The browser reconnects by itself.
  const words = { idle: "Nothing runs.", running: "Measuring.", stopping: "Stopping; what was measured is kept." };
  let phase = "";
  const events = new EventSource("events");
  events.addEventListener("message", (event) => {
    const state = JSON.parse(event.data);
    const outcome = state.phase === "idle" && state.outcome !== null ? ` The last one is ${state.outcome}.` : "";
    const command = state.command.length > 0 ? ` lab compare ${state.command.join(" ")}` : "";
    byId("state").textContent = words[state.phase] + outcome + command;
    byId("start").disabled = state.phase !== "idle";
    byId("stop").disabled = state.phase !== "running";
    byId("said").textContent = state.said.join("\n");
    if (state.sections.length > 0) show(byId("now"), state.sections);
    if (state.phase === "idle" && phase !== "idle") list().then(showLast(outcome));
    phase = state.phase;
  });
  events.addEventListener("error", () => {
    byId("state").textContent = "The connection is lost; trying again.";
    phase = "";
  });

  // A comparison has verdicts only at its end, in the stored results.
  const showLast = (outcome) => async () => {
    if (outcome !== "" && document.querySelector('#stored a[href="report/last"]')) {
      show(byId("now"), await stored("last"));
    }
  };

  // Stored results.
  const cache = new Map();
  const stored = async (name) => {
    if (name === "last" || !cache.has(name)) {
      const response = await fetch(`stored/${encodeURIComponent(name)}`);
      if (!response.ok) throw new Error(await response.text());
      cache.set(name, await response.json());
    }
    return cache.get(name);
  };
  const list = async () => {
    const all = await (await fetch("stored")).json();
    const chosen = (side) => document.querySelector(`input[name="${side}"]:checked`)?.value;
    const before = { left: chosen("left"), right: chosen("right") };
    byId("stored").replaceChildren(
      ...all.map((one) => {
        const row = made("tr");
        const when = made("th", one.unix_s === null ? one.name : new Date(one.unix_s * 1000).toLocaleString());
        when.scope = "row";
        const link = made("a", one.name === "last" ? "report (last)" : "report");
        link.href = `report/${encodeURIComponent(one.name)}`;
        const report = made("td");
        report.append(link);
        row.append(when, report);
        for (const side of ["left", "right"]) {
          const cell = made("td");
          const input = made("input");
          input.type = "radio";
          input.name = side;
          input.value = one.name;
          input.checked = before[side] === one.name;
          input.setAttribute("aria-label", `${when.textContent} on the ${side}`);
          input.addEventListener("change", beside);
          cell.append(input);
          row.append(cell);
        }
        return row;
      }),
    );
  };

  // Two of them side by side, with a row for each workload of either.
  const beside = async () => {
    const names = ["left", "right"].map((side) => document.querySelector(`input[name="${side}"]:checked`)?.value);
    if (names.includes(undefined)) return;
    const place = byId("beside");
    try {
      const sides = await Promise.all(names.map(stored));
      const keys = [...new Set(sides.flat().map((section) => `${section.name} ${section.params}`))];
      place.replaceChildren();
      for (const key of keys) {
        const row = made("div", undefined, "sides");
        place.append(row);
        for (const sections of sides) {
          const section = sections.find((one) => `${one.name} ${one.params}` === key);
          const part = made("div");
          row.append(part);
          if (section === undefined) {
            part.append(made("p", `${key}: not measured here.`, "how"));
          } else {
            fill(part, section);
            drawAll(part, section.chart);
          }
        }
      }
    } catch (error) {
      place.replaceChildren(made("p", error.message, "how"));
    }
  };
})();

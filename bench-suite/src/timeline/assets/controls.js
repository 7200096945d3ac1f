// Buttons, pointer and keys. All of them change the view and ask for a frame.

/** Playback speeds: nanoseconds of the trace per second. */
const SPEEDS = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

function connect(page) {
  const { view, canvas, byId } = page;
  const press = (id, action) =>
    byId(id).addEventListener("click", () => {
      action();
      page.changed();
    });
  press("zoom-in", () => view.zoom(0.5, zoomCentre(view)));
  press("zoom-out", () => view.zoom(2, zoomCentre(view)));
  press("fit", () => view.fit());
  press("previous", () => page.step(-1));
  press("next", () => page.step(1));
  press("play", () => page.togglePlay());
  for (const name of ["mode", "arrange"]) {
    for (const input of document.querySelectorAll(`input[name="${name}"]`)) {
      input.addEventListener("change", () => {
        if (name === "mode") view.setMode(input.value);
        else view.arrange = input.value;
        byId("arrange").hidden = view.mode !== "tasks" || view.models.length < 2;
        page.changed();
      });
    }
  }
  byId("arrows").addEventListener("change", (event) => {
    view.arrows = event.target.checked;
    page.changed();
  });
  byId("path").addEventListener("change", (event) => {
    view.path = event.target.checked;
    page.changed();
  });
  byId("search").addEventListener("input", (event) => page.search(event.target.value));
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") page.chooseFirst();
    if (event.key === "Escape") {
      event.target.value = "";
      page.search("");
      canvas.focus();
    }
  });
  const speeds = byId("speed");
  for (const speed of SPEEDS) {
    const option = element("option", `${duration(speed)} a second`);
    option.value = String(speed);
    speeds.append(option);
  }
  // By default, play the whole trace in some ten seconds.
  view.speed = SPEEDS.reduce((best, speed) =>
    Math.abs(Math.log((speed * 10) / view.endNs)) < Math.abs(Math.log((best * 10) / view.endNs)) ? speed : best,
  );
  speeds.value = String(view.speed);
  speeds.addEventListener("change", () => {
    view.speed = Number(speeds.value);
  });
  pointer(page);
  keys(page);
}

/** The cursor if it is visible, else the middle. */
function zoomCentre(view) {
  return view.cursor > view.t0 && view.cursor < view.t1 ? view.cursor : (view.t0 + view.t1) / 2;
}

function pointer(page) {
  const { view, canvas } = page;
  const held = new Map();
  let moved = 0;
  let onOverview = false;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  canvas.addEventListener(
    "wheel",
    (event) => {
      const { x } = place(event);
      if (event.ctrlKey || event.metaKey || event.altKey) {
        event.preventDefault();
        view.zoom(1.002 ** event.deltaY, page.timeAt(x));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        view.pan((event.deltaX || event.deltaY) / 1000);
      } else {
        // When the rows can't scroll further, the wheel scrolls the page.
        const before = view.scroll;
        page.scrollTo(view.scroll + event.deltaY);
        if (view.scroll === before) return;
        event.preventDefault();
      }
      page.changed();
    },
    { passive: false },
  );
  canvas.addEventListener("pointerdown", (event) => {
    const at = place(event);
    if (held.size === 0) {
      moved = 0;
      onOverview = at.y > AXIS && at.y < page.layout.top && at.x > page.layout.gutter;
      if (onOverview) page.centreOnOverview(at.x);
    }
    held.set(event.pointerId, at);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    const was = held.get(event.pointerId);
    if (was === undefined) {
      page.hover(at);
      return;
    }
    moved += Math.abs(at.x - was.x) + Math.abs(at.y - was.y);
    if (held.size === 2) {
      const [other] = [...held].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      const ratio = Math.max(20, Math.abs(was.x - other.x)) / Math.max(20, Math.abs(at.x - other.x));
      view.zoom(ratio, page.timeAt((at.x + other.x) / 2));
    } else if (onOverview) {
      page.centreOnOverview(at.x);
    } else {
      view.pan(-(at.x - was.x) / (page.layout.width - page.layout.gutter));
      page.scrollTo(view.scroll - (at.y - was.y));
    }
    held.set(event.pointerId, at);
    page.hideTip();
    page.changed();
  });
  const release = (event) => {
    if (!held.delete(event.pointerId)) return;
    if (event.type === "pointerup" && moved < 5 && !onOverview) page.click(place(event));
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => page.hideTip());
  canvas.addEventListener("dblclick", (event) => {
    view.zoom(0.25, page.timeAt(place(event).x));
    page.changed();
  });
}

function keys(page) {
  const { view, canvas, byId } = page;
  const actions = {
    ArrowLeft: () => view.pan(-0.1),
    ArrowRight: () => view.pan(0.1),
    ArrowUp: () => page.moveChoice(-1),
    ArrowDown: () => page.moveChoice(1),
    PageUp: () => page.scrollTo(view.scroll - 200),
    PageDown: () => page.scrollTo(view.scroll + 200),
    Home: () => view.show(0, view.t1 - view.t0),
    End: () => view.show(view.endNs - (view.t1 - view.t0), view.endNs),
    "+": () => view.zoom(0.5, zoomCentre(view)),
    "=": () => view.zoom(0.5, zoomCentre(view)),
    "-": () => view.zoom(2, zoomCentre(view)),
    0: () => view.fit(),
    ",": () => page.step(-1),
    ".": () => page.step(1),
    " ": () => page.togglePlay(),
    r: () => page.nextRun(),
    t: () => page.toggleMode(),
    "[": () => {
      view.rowHeight = Math.max(4, view.rowHeight - 2);
    },
    "]": () => {
      view.rowHeight = Math.min(40, view.rowHeight + 2);
    },
    "/": () => byId("search").focus(),
    Escape: () => {
      view.choose(0, -1);
      page.hideTip();
    },
  };
  canvas.addEventListener("keydown", (event) => {
    const action = actions[event.key];
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
    page.changed();
  });
}

"use strict";
// Timelines in a page of results. A timeline captures the mouse wheel and the keys, so each one is a separate page
// inside this page, which opens on demand.
(() => {
  const data = (id) => JSON.parse(document.getElementById(id).textContent);
  const timelines = data("timeline-data");
  const page = data("timeline-page");
  for (const place of document.querySelectorAll("[data-timeline]")) {
    const button = place.querySelector("button");
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = timelines[Number(place.dataset.timeline)];
      const heading = () => place.closest("section").querySelector("h2").firstChild.textContent.trim();
      // Escaped like the page's own data, so that nothing in it looks like a tag.
      const text = JSON.stringify(shown).replace(/[&<>]/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`);
      const frame = document.createElement("iframe");
      frame.title = `Timeline of ${place.dataset.name ?? heading()}`;
      frame.sandbox = "allow-scripts";
      frame.srcdoc = page.split("@the-data@").join(text);
      place.append(frame);
      button.remove();
      frame.focus();
    });
  }
})();

// Values on hover and by arrow keys for charts that carry data-hover; lit edges for graphs.
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  addEventListener("DOMContentLoaded", () => document.body.append(tip));
  if (document.body) document.body.append(tip);
  let shown = null;

  const element = (tag, text, cls) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (cls) made.className = cls;
    return made;
  };

  function show(chart, index) {
    const hover = JSON.parse(chart.dataset.hover);
    index = Math.max(0, Math.min(hover.x.length - 1, index));
    let line = chart.querySelector(".crosshair");
    if (!line) {
      line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      line.setAttribute("class", "crosshair");
      chart.append(line);
    }
    for (const [name, value] of Object.entries({ x1: hover.x[index], x2: hover.x[index], y1: hover.plot[0], y2: hover.plot[1] })) line.setAttribute(name, value);
    const at = hover.at && new Date(hover.at[index] * 1000);  // the reader's own time, as on the axis
    tip.replaceChildren(element("b", at ? at.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : hover.label[index]));
    for (const series of hover.series) {
      if (!series.values[index]) continue;
      const row = element("span");
      const name = element("i");
      name.append(element("span", undefined, `swatch ${series.cls}`), series.name);
      row.append(name, element("span", series.values[index]));
      tip.append(row);
    }
    tip.hidden = false;
    const box = chart.getBoundingClientRect();
    const x = box.left + hover.x[index] * box.width / chart.dataset.width;
    const wide = tip.offsetWidth;
    tip.style.left = `${x + 14 + wide > innerWidth ? x - 14 - wide : x + 14}px`;
    tip.style.top = `${Math.max(6, box.top + 18)}px`;
    shown = { chart, index };
  }

  function hide() {
    if (shown) shown.chart.querySelector(".crosshair")?.remove();
    tip.hidden = true;
    shown = null;
  }

  const chartOf = (event) => event.target.closest?.(".chart[data-hover]");

  addEventListener("pointermove", (event) => {
    const chart = chartOf(event);
    if (!chart) { if (shown && document.activeElement !== shown.chart) hide(); return; }
    const box = chart.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * chart.dataset.width;
    const xs = JSON.parse(chart.dataset.hover).x;
    let best = 0;
    xs.forEach((x, index) => { if (Math.abs(x - at) < Math.abs(xs[best] - at)) best = index; });
    if (shown && shown.chart !== chart) hide();
    show(chart, best);
  }, { passive: true });
  addEventListener("focusin", (event) => { const chart = chartOf(event); if (chart?.matches(":focus-visible")) show(chart, 1e9); });
  addEventListener("focusout", (event) => { if (chartOf(event)) hide(); });
  addEventListener("keydown", (event) => {
    const chart = chartOf(event);
    if (event.key === "Escape") { hide(); return; }
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
    if (!chart || !step) return;
    event.preventDefault();
    show(chart, (shown?.chart === chart ? shown.index : 0) + step);
  });
  addEventListener("scroll", hide, { passive: true, capture: true });

  // A node of a graph lights the edges that meet in it.
  const light = (event, on) => {
    const node = event.target.closest?.(".dag a, .dag .node");
    const id = (node?.querySelector("[data-id]") || node)?.dataset.id;
    if (!id) return;
    for (const edge of node.closest("svg").querySelectorAll(".edge")) {
      edge.classList.toggle("lit", on && (edge.dataset.from === id || edge.dataset.to === id));
    }
  };
  for (const [name, on] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]]) {
    addEventListener(name, (event) => light(event, on));
  }
})();

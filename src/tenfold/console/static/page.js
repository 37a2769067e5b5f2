// Small comforts of a page: times in the reader's own zone, running clocks, copy buttons.
(() => {
  const steps = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const ago = (at) => {
    const passed = Date.now() / 1000 - at;
    if (Math.abs(passed) < 3) return "now";
    const [length, unit] = steps.find(([s]) => Math.abs(passed) >= s) || steps[3];
    return words.format(-Math.round(passed / length), unit);
  };
  const took = (s) => s < 60 ? `${s.toFixed(s < 10 ? 1 : 0)} s` : s < 3600 ? `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s` : `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };

  function tick() {
    for (const node of document.querySelectorAll("time[data-at]")) write(node, ago(Number(node.dataset.at)));
    for (const node of document.querySelectorAll("[data-since]")) write(node, took(Math.max(0, Date.now() / 1000 - Number(node.dataset.since))));
    for (const node of document.querySelectorAll("time[data-clock]")) write(node, new Date(Number(node.dataset.clock) * 1000).toLocaleTimeString("en-GB"));
    for (const node of document.querySelectorAll("text[data-at]")) {
      const moment = new Date(Number(node.dataset.at) * 1000);
      const midnight = moment.getHours() === 0 && moment.getMinutes() === 0 && !node.dataset.fine;
      write(node, midnight ? moment.toLocaleDateString("en-GB", { day: "2-digit", month: "short" }) : moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: node.dataset.fine && "2-digit" }));
    }
  }
  tick();
  setInterval(tick, 1000);
  document.addEventListener("tenfold:patched", tick);

  const log = document.querySelector(".log");
  if (log) log.scrollTop = log.scrollHeight;

  addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.closest(".cmd").querySelector("code"));
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
})();

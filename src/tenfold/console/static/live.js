// The page follows the ledger: one event stream, regions changed in place, log rows added at the end.
(() => {
  const status = document.getElementById("live");
  if (!status) return;
  const MAX_ROWS = 500;
  const say = (state, word) => { status.dataset.state = state; status.querySelector(".live-word").textContent = word; };

  // Make `old` look like `fresh` with as few changes as possible, so that focus, scroll and open tips stay.
  function morph(old, fresh) {
    const olds = [...old.childNodes], news = [...fresh.childNodes];
    news.forEach((node, index) => {
      const was = olds[index];
      if (!was) old.append(node);
      else if (was.nodeType !== node.nodeType || was.nodeName !== node.nodeName) was.replaceWith(node);
      else if (node.nodeType !== Node.ELEMENT_NODE) { if (was.nodeValue !== node.nodeValue) was.nodeValue = node.nodeValue; }
      else if (!was.isEqualNode(node)) {
        for (const { name } of [...was.attributes]) if (!node.hasAttribute(name) && !(name === "open")) was.removeAttribute(name);
        for (const { name, value } of [...node.attributes]) if (was.getAttribute(name) !== value) was.setAttribute(name, value);
        morph(was, node);
      }
    });
    olds.slice(news.length).forEach((node) => node.remove());
  }

  function append(list, html) {
    const made = document.createElement("template");
    made.innerHTML = html;
    const last = Number(list.lastElementChild?.dataset.seq || 0);
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
    for (const row of [...made.content.children]) if (Number(row.dataset.seq) > last) list.append(row);
    while (list.children.length > MAX_ROWS) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  const source = new EventSource(status.dataset.liveUrl);
  source.addEventListener("open", () => say("live", "live"));
  source.addEventListener("error", () => say("lost", "reconnecting"));
  source.addEventListener("patch", (event) => {
    const { regions, append: rows } = JSON.parse(event.data);
    for (const [name, html] of Object.entries(regions)) {
      const region = document.querySelector(`[data-region="${CSS.escape(name)}"]`);
      const made = document.createElement("template");
      made.innerHTML = html;
      if (region) morph(region, made.content);
    }
    for (const [name, html] of Object.entries(rows)) {
      const list = document.querySelector(`[data-append="${CSS.escape(name)}"]`);
      if (list) append(list, html);
    }
    document.dispatchEvent(new Event("tenfold:patched"));
  });
  addEventListener("pagehide", () => source.close());
})();

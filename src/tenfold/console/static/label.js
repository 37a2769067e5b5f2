// The labelling desk: one record at a time, by keyboard. A deed is saved before the next record comes.
(() => {
  const desk = document.getElementById("desk");
  if (!desk) return;
  const form = document.getElementById("who"), fault = document.getElementById("fault"), keys = document.getElementById("keys");
  const NAME = "tenfold-annotator";
  const kept = { get: () => { try { return localStorage.getItem(NAME) || ""; } catch { return ""; } }, set: (name) => { try { localStorage.setItem(NAME, name); } catch { /* for this page only */ } } };
  let me = "", record = null, since = 0, busy = false;

  const complain = (text) => { fault.textContent = text; fault.hidden = !text; };

  async function send(deed, said) {
    const response = await fetch(`${desk.dataset.url}/${deed}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ annotator: me, ...said }) });
    const told = await response.json().catch(() => ({ error: `the console answered ${response.status}` }));
    return response.ok ? told : { ...told, status: response.status };
  }

  function show({ record: next, html }) {
    const made = document.createElement("template");
    made.innerHTML = html;
    desk.replaceChildren(made.content);
    record = next;
    since = performance.now();
    desk.focus({ preventScroll: true });
  }

  // One deed at a time; when it is not saved, the record stays and can be decided again.
  async function act(deed, said = {}) {
    if (busy) return;
    busy = true;
    desk.setAttribute("aria-busy", "true");
    try {
      let told = await send(deed, said);
      complain(told.error ? [told.error, told.hint].filter(Boolean).join(": ") : "");
      if (told.status === 409) told = await send("next", {}); // what was said of it is not kept; the words above say why
      if (!told.error) show(told);
    } catch {
      complain("Not saved: the console does not answer. Choose again when it does.");
    } finally {
      busy = false;
      desk.removeAttribute("aria-busy");
    }
  }

  const decide = (label) => { if (record) act("decide", { record, label, seconds: (performance.now() - since) / 1000 }); };
  const deeds = { skip: () => decide(null), undo: () => act("undo"), next: () => act("next") };

  function begin(name) {
    me = name;
    kept.set(name);
    form.hidden = true;
    desk.hidden = keys.hidden = false;
    document.getElementById("me").textContent = name;
    act("next");
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = document.getElementById("name").value.trim();
    if (name) begin(name);
  });
  document.getElementById("change").addEventListener("click", () => {
    kept.set("");
    record = null;
    desk.replaceChildren();
    desk.hidden = keys.hidden = true;
    form.hidden = false;
    document.getElementById("name").focus();
  });
  desk.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.choice !== undefined) decide(button.dataset.choice);
    else if (button) deeds[button.dataset.deed]?.();
  });
  addEventListener("keydown", (event) => {
    if (desk.hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat && !event.key.startsWith("Arrow")) return;
    if (event.target.closest?.("input, a, #theme, #change, .cmd")) return;
    const choices = [...desk.querySelectorAll("[data-choice]")];
    const key = event.key.toLowerCase();
    const step = { arrowright: 1, arrowdown: 1, arrowleft: -1, arrowup: -1 }[key];
    const chosen = choices.find((button) => button.dataset.keys.split(" ").includes(key));
    if (chosen) decide(chosen.dataset.choice);
    else if (key === " ") deeds.skip();
    else if (key === "u") deeds.undo();
    else if (step && choices.length) {
      const at = choices.indexOf(document.activeElement);
      choices[at < 0 ? (step > 0 ? 0 : choices.length - 1) : (at + step + choices.length) % choices.length].focus();
    } else return;
    event.preventDefault();
  });
  setInterval(async () => {
    if (!record || busy || document.hidden) return;
    const held = record;
    const told = await send("hold", { record: held }).catch(() => null);
    if (told?.status === 409 && held === record) { await act("next"); complain(told.error); }
  }, Number(desk.dataset.hold) * 1000);

  if (kept.get()) begin(kept.get());
  else document.getElementById("name").focus();
})();

// The colour scheme: the reader's choice, else the system's. Runs before anything is painted.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("tenfold-theme"); } catch { return null; } };
  const apply = () => {
    const choice = stored() || "system";
    root.dataset.theme = choice === "system" ? (dark.matches ? "dark" : "light") : choice;
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = `Theme: ${choice}`;
      button.setAttribute("aria-label", `Colour scheme: ${choice}`);
    }
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("DOMContentLoaded", () => {
    apply();
    const button = document.getElementById("theme");
    if (!button) return;
    button.addEventListener("click", () => {
      const order = ["system", "light", "dark"];
      const next = order[(order.indexOf(stored() || "system") + 1) % order.length];
      try { localStorage.setItem("tenfold-theme", next); } catch { root.dataset.theme = next; }
      apply();
    });
  });
})();

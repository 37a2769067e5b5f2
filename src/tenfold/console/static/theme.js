// The colour scheme: the reader's choice, else the system's. Runs before anything is painted.
(() => {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("tenfold-theme"); } catch { return null; } };
  let choice = stored() || "system";
  const apply = () => {
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
    const button = document.getElementById("theme");
    if (!button) return;
    button.textContent = `Theme: ${choice}`;
    button.setAttribute("aria-label", `Theme: ${choice}. Change the colour scheme`);
  };
  apply();
  addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme")?.addEventListener("click", () => {
      const order = ["system", "light", "dark"];
      choice = order[(order.indexOf(choice) + 1) % order.length];
      try { localStorage.setItem("tenfold-theme", choice); } catch { /* kept for this page only */ }
      apply();
    });
  });
})();

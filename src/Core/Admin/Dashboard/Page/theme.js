// Runs before the page is drawn, so that it is drawn once: the theme that was chosen here, else the system's.
(() => {
  const order = ["auto", "light", "dark"];
  const words = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
  let chosen = "auto";
  try {
    chosen = localStorage.getItem("roadbalancer.theme") ?? "auto";
  } catch {
    // Storage is blocked: the system's theme it is.
  }

  const apply = () => {
    if (chosen === "auto") {
      delete document.documentElement.dataset.theme;
    } else {
      document.documentElement.dataset.theme = chosen;
    }
  };

  chosen = order.includes(chosen) ? chosen : "auto";
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme-button");
    const show = () => {
      button.textContent = `Theme: ${chosen}`;
      button.setAttribute("aria-label", words[chosen]);
      button.title = words[chosen];
    };
    show();
    button.addEventListener("click", () => {
      chosen = order[(order.indexOf(chosen) + 1) % order.length];
      try {
        localStorage.setItem("roadbalancer.theme", chosen);
      } catch {
        // It holds for this page then.
      }

      apply();
      show();
    });
  });
})();

// Sets the colour scheme before the first paint, so that the page does not flash.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("segue.theme");
  } catch {
    // Storage is closed to this page: the system's scheme is used.
  }
  if (theme !== "light" && theme !== "dark") {
    theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  document.documentElement.dataset.theme = theme;
})();

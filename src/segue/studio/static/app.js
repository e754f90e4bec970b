// The shell: rooms by hash, colour scheme, help, connection. A room is a module that exports
//   mount(root, { api, info, ui }) -> { unmount() }, and optionally
//   shortcuts: [{ keys: ["Space"], text: "Play or pause" }, ...], shown by the help dialog.

import * as api from "./api.js";
import * as ui from "./ui.js";

const ROOMS = {
  midi: { title: "Symbolic", load: () => import("./midi.js") },
  audio: { title: "Audio", load: () => import("./audio.js") },
  look: { title: "Look into", load: () => import("./look.js") },
};
const THEMES = [
  { name: "auto", icon: "auto", title: "Colours as the system has them" },
  { name: "light", icon: "sun", title: "Light colours" },
  { name: "dark", icon: "moon", title: "Dark colours" },
];
const SHORTCUTS = [
  { keys: ["?"], text: "Show this help" },
  { keys: ["Alt+1", "Alt+2", "Alt+3"], text: "Symbolic, Audio, Look into" },
  { keys: ["Tab", "Shift+Tab"], text: "Next and previous control" },
  { keys: ["Esc"], text: "Close a dialog" },
];
const RETRY_MS = 2000;

const root = document.getElementById("room");
const dark = matchMedia("(prefers-color-scheme: dark)");
const state = { info: null, room: null, module: null, mounted: null, turn: 0 };

// Colour scheme

function theme() {
  try {
    return localStorage.getItem("segue.theme") ?? "auto";
  } catch {
    return "auto";
  }
}

function showTheme(name) {
  const shown = name === "auto" ? (dark.matches ? "dark" : "light") : name;
  document.documentElement.dataset.theme = shown;
  for (const each of document.querySelectorAll("[data-choose-theme]")) {
    ui.setPressed(each, each.dataset.chooseTheme === name);
  }
  ui.scheme.dispatchEvent(new Event("change"));
}

function chooseTheme(name) {
  try {
    localStorage.setItem("segue.theme", name);
  } catch {
    // Storage is closed: the choice holds until the page is left.
  }
  state.theme = name;
  showTheme(name);
}

function buildTools() {
  const choices = THEMES.map(({ name, icon, title }) => {
    const node = ui.button({ icon, title, pressed: false, onClick: () => chooseTheme(name) });
    node.dataset.chooseTheme = name;
    return node;
  });
  const help = ui.button({ icon: "help", title: "Help and shortcuts (?)", kind: "quiet", onClick: showHelp });
  const group = ui.element("div", { class: "group", role: "group", "aria-label": "Colours" }, choices);
  document.getElementById("bar-tools").append(group, help);
  state.theme = theme();
  showTheme(state.theme);
  dark.addEventListener("change", () => showTheme(state.theme));
}

// Help

function shortcutList(title, shortcuts) {
  const keys = (each) => each.keys.flatMap((key, i) => [i ? " " : "", ui.element("kbd", { text: key })]);
  const lines = shortcuts.flatMap((each) => [ui.element("dt", {}, keys(each)), ui.element("dd", { text: each.text })]);
  return ui.element("section", {}, ui.element("h3", { text: title }), ui.element("dl", {}, lines));
}

function showHelp() {
  if (document.querySelector("dialog[open]")) {
    return;
  }
  const lists = [shortcutList("Everywhere", SHORTCUTS)];
  const own = state.module?.shortcuts ?? [];
  if (own.length) {
    lists.unshift(shortcutList(`${ROOMS[state.room].title} room`, own));
  }
  const about = ui.element("p", {
    class: "soft",
    text: `Segue ${state.info?.version ?? ""} runs on your machine. Nothing is fetched from or sent to anywhere else.`,
  });
  const close = ui.button({ label: "Close", kind: "primary", onClick: () => node.close() });
  const node = ui.dialog({
    title: "Help and shortcuts",
    body: [ui.element("div", { class: "shortcuts" }, lists), ui.element("hr", { class: "rule" }), about],
    buttons: [close],
    wide: true,
  });
  close.focus();
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey) {
    return;
  }
  if (event.altKey && ["Digit1", "Digit2", "Digit3"].includes(event.code)) {
    event.preventDefault();
    location.hash = `#/${Object.keys(ROOMS)[Number(event.code.at(-1)) - 1]}`;
  } else if (event.key === "?" && !ui.isTyping(event)) {
    event.preventDefault();
    showHelp();
  }
}

// Connection

function watchConnection() {
  const banner = document.getElementById("banner");
  let timer = 0;
  const retry = () => {
    timer = setTimeout(() => api.get("/jobs").catch((error) => error.kind === "offline" && retry()), RETRY_MS);
  };
  api.connection.addEventListener("lost", () => {
    banner.className = "banner";
    banner.textContent = "The studio does not answer. What is on this page is kept; trying again …";
    banner.hidden = false;
    retry();
  });
  api.connection.addEventListener("regained", () => {
    clearTimeout(timer);
    banner.className = "banner good";
    banner.textContent = "The studio answers again.";
    timer = setTimeout(() => (banner.hidden = true), 4000);
  });
}

// Rooms

function roomOf(hash) {
  const name = /^#\/([a-z]+)/.exec(hash)?.[1];
  return Object.hasOwn(ROOMS, name ?? "") ? name : "midi";
}

async function show(name, { focus = false } = {}) {
  if (name === state.room) {
    return;
  }
  const turn = (state.turn += 1);
  state.mounted?.unmount?.();
  Object.assign(state, { room: name, module: null, mounted: null });
  document.title = `${ROOMS[name].title} · Segue studio`;
  for (const link of document.querySelectorAll(".rooms a")) {
    const here = link.getAttribute("href") === `#/${name}`;
    here ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  const place = ui.element("div", { class: `room room-${name}` });
  root.replaceChildren(place);
  try {
    const module = await ROOMS[name].load();
    if (turn !== state.turn) {
      return;
    }
    state.module = module;
    const mounted = await module.mount(place, { api, info: state.info, ui });
    if (turn === state.turn) {
      state.mounted = mounted;
    } else {
      mounted?.unmount?.();
    }
  } catch (error) {
    place.replaceChildren(problem(`This room could not be opened. ${error.message}`));
  }
  if (focus && turn === state.turn) {
    root.focus({ preventScroll: true });
  }
}

function problem(message) {
  const again = ui.button({ label: "Try again", onClick: () => location.reload() });
  return ui.element("div", { class: "notice error", role: "alert" }, ui.element("p", { text: message }), again);
}

function askToken() {
  const go = () => {
    const token = box.input.value.trim();
    if (token) {
      location.assign(`${new URL(".", document.baseURI).pathname}?token=${encodeURIComponent(token)}${location.hash}`);
    }
  };
  const box = ui.field({ label: "Token", type: "password", hint: "It is part of the address that `segue studio` printed when it was started." });
  box.input.addEventListener("keydown", (event) => event.key === "Enter" && go());
  const open = ui.button({ label: "Open the studio", kind: "primary", onClick: go });
  root.replaceChildren(
    ui.element(
      "div",
      { class: "notice stack" },
      ui.element("h1", { text: "This studio asks for a token" }),
      ui.element("p", { text: "It is served to other machines, so whoever opens it shows a token first." }),
      box,
      ui.element("div", {}, open),
    ),
  );
  box.input.focus();
}

async function start() {
  buildTools();
  ui.prepareToasts();
  watchConnection();
  document.addEventListener("keydown", onKey);
  // A file that is dropped beside its place must not make the browser leave the page.
  for (const name of ["dragover", "drop"]) {
    addEventListener(name, (event) => event.preventDefault());
  }
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    root.focus();
  });
  // The room's modules come while the server is asked what it offers.
  ROOMS[roomOf(location.hash)].load().catch(() => undefined);
  try {
    state.info = await api.info();
  } catch (error) {
    error.status === 401 ? askToken() : root.replaceChildren(problem(error.message));
    return;
  }
  addEventListener("hashchange", () => show(roomOf(location.hash), { focus: true }));
  await show(roomOf(location.hash));
}

start();

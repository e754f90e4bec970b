// Small parts that all rooms are built of. Everything is made as DOM nodes; no text is read as markup.

const SVG = "http://www.w3.org/2000/svg";
const TOAST_MS = 6000;

// Paths of 24 x 24, drawn with a line of 1.8.
const ICONS = {
  ab: "M4 18 8 6l4 12M5.4 14h5.2M15 6v12M15 6h3a3 3 0 0 1 0 6h-3M15 12h3.5a3 3 0 0 1 0 6H15",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  back: "M19 12H5M11 6l-6 6 6 6",
  check: "M5 12.5 10 17 19 7",
  chip: "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4",
  close: "M6 6l12 12M18 6 6 18",
  dice: "M6 3.5h12a2.5 2.5 0 0 1 2.5 2.5v12a2.5 2.5 0 0 1-2.5 2.5H6A2.5 2.5 0 0 1 3.5 18V6A2.5 2.5 0 0 1 6 3.5zM8 8h.5v.5H8zM15.5 8h.5v.5h-.5zM11.75 11.75h.5v.5h-.5zM8 15.5h.5v.5H8zM15.5 15.5h.5v.5h-.5z",
  down: "M6 9l6 6 6-6",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  extend: "M4 6v12M4 12h12M12 8l4 4-4 4M20 6v12",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  generate: "M12 3v5M12 16v5M3 12h5M16 12h5M6 6l3 3M15 15l3 3M18 6l-3 3M9 15l-3 3",
  help: "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17.5h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  inpaint: "M3 12h3M18 12h3M8 6h8v12H8zM12 9v6M9.5 12h5",
  keep: "M6 4h12v16l-6-4-6 4z",
  left: "M14 6l-6 6 6 6",
  loop: "M17 3l3 3-3 3M4 12V9a3 3 0 0 1 3-3h13M7 21l-3-3 3-3M20 12v3a3 3 0 0 1-3 3H4",
  minus: "M5 12h14",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  music: "M9 18V5l10-2v13M9 18a3 3 0 1 1-6 0 3 3 0 0 1 6 0zM19 16a3 3 0 1 1-6 0 3 3 0 0 1 6 0z",
  open: "M3 6h6l2 2h10v11H3z",
  pause: "M8 5v14M16 5v14",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  play: "M7 4.5v15l12-7.5z",
  plus: "M12 5v14M5 12h14",
  reconstruct: "M4 12a8 8 0 0 1 14-5.3L20 9M20 4v5h-5M20 12a8 8 0 0 1-14 5.3L4 15M4 20v-5h5",
  redo: "M15 5l5 5-5 5M20 10H10a6 6 0 0 0 0 12h2",
  reuse: "M4 7h10M18 7h2M4 17h2M10 17h10M14 4.5v5M6 14.5v5",
  right: "M10 6l6 6-6 6",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M13 4.5v5M7 14.5v5",
  solo: "M4 13v-1a8 8 0 0 1 16 0v1M4 13h3v6H4zM17 13h3v6h-3z",
  start: "M6 5v14M19 5v14L8 12z",
  stop: "M6 6h12v12H6z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  undo: "M9 5l-5 5 5 5M4 10h10a6 6 0 0 1 0 12h-2",
  up: "M6 15l6-6 6 6",
  vary: "M3 12c2-6 4-6 6 0s4 6 6 0 4-6 6 0",
  volume: "M4 9v6h4l5 4V5L8 9zM16.5 8.5a5 5 0 0 1 0 7",
  mute: "M4 9v6h4l5 4V5L8 9zM17 9.5l5 5M22 9.5l-5 5",
};

/**
 * Makes an element.
 * @param {string} tag
 * @param {object|null} props attributes by name; also `class`, `text`, `dataset`, `on` (handlers by
 *   event); true sets an empty attribute, false, null and undefined leave it out
 * @param {...(Node|string|null|undefined|false|Array)} children
 * @returns {HTMLElement}
 */
export function element(tag, props = null, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    set(node, name, value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function set(node, name, value) {
  if (name === "text") {
    node.textContent = value ?? "";
  } else if (name === "dataset") {
    Object.assign(node.dataset, value);
  } else if (name === "on") {
    for (const [event, handler] of Object.entries(value)) {
      node.addEventListener(event, handler);
    }
  } else if (name === "value" || name === "checked" || name === "indeterminate") {
    node[name] = value;
  } else if (value === true) {
    node.setAttribute(name, "");
  } else if (value !== false && value !== null && value !== undefined) {
    node.setAttribute(name, value);
  }
}

/**
 * An icon, hidden from screen readers: whatever it stands in has a name.
 * @param {string} name of `ICONS`
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] ?? ICONS.help);
  svg.append(path);
  return svg;
}

/**
 * A button. With an icon and no label it needs a title, which is then its name.
 * @param {{label?: string, icon?: string, onClick?: (event: Event) => void, title?: string,
 *   kind?: "primary"|"plain"|"quiet"|"danger", pressed?: boolean, disabled?: boolean}} options
 * @returns {HTMLButtonElement}
 */
export function button({ label, icon: picture, onClick, title, kind = "plain", pressed, disabled }) {
  const node = element(
    "button",
    {
      type: "button",
      class: `button ${kind}${label ? "" : " only-icon"}`,
      title,
      "aria-label": label ? null : title,
      "aria-pressed": pressed === undefined ? null : String(pressed),
      disabled,
    },
    picture ? icon(picture) : null,
    label ? element("span", { text: label }) : null,
  );
  if (onClick) {
    node.addEventListener("click", onClick);
  }
  return node;
}

/**
 * Changes a button's icon, and its name where it has one of its own.
 * @param {HTMLButtonElement} node
 * @param {string} name of the icon
 * @param {string} [title]
 */
export function setIcon(node, name, title) {
  node.querySelector(".icon")?.replaceWith(icon(name));
  if (title) {
    node.title = title;
    if (node.hasAttribute("aria-label")) {
      node.setAttribute("aria-label", title);
    }
  }
}

/** @param {HTMLElement} node @param {boolean} pressed */
export function setPressed(node, pressed) {
  node.setAttribute("aria-pressed", String(pressed));
}

let fields = 0;

/**
 * A label with its input and a hint below.
 * @param {{label: string, input?: HTMLElement, type?: string, value?: any, hint?: string, name?: string,
 *   min?: number, max?: number, step?: number|string, unit?: string, placeholder?: string,
 *   options?: Array<{value: string, label: string}>, disabled?: boolean,
 *   onInput?: (value: string) => void, onChange?: (value: string) => void}} options
 * @returns {HTMLElement & {input: HTMLInputElement}} a box; `box.input` is the control
 */
export function field(options) {
  fields += 1;
  const id = `field-${fields}`;
  const input = options.input ?? control(options);
  input.id = id;
  const hint = element("p", { class: "hint", id: `${id}-hint`, text: options.hint, hidden: !options.hint });
  input.setAttribute("aria-describedby", hint.id);
  input.disabled = Boolean(options.disabled);
  const value = options.unit
    ? element("span", { class: "with-unit" }, input, element("span", { class: "unit", "aria-hidden": "true", text: options.unit }))
    : input;
  const label = element("label", { for: id, text: options.label });
  const check = options.type === "checkbox";
  const box = element("div", { class: `field${check ? " check" : ""}` }, check ? [value, label] : [label, value], hint);
  box.input = input;
  box.setHint = (text) => {
    hint.textContent = text;
    hint.hidden = !text;
  };
  listenTo(input, options);
  return box;
}

function control({ type = "text", value, name, min, max, step, placeholder, options }) {
  if (options) {
    const choices = options.map((one) => element("option", { value: one.value, text: one.label }));
    const select = element("select", { name }, choices);
    select.value = value ?? options[0]?.value ?? "";
    return select;
  }
  if (type === "checkbox") {
    return element("input", { type, name, checked: Boolean(value) });
  }
  if (type === "textarea") {
    return element("textarea", { name, placeholder, rows: 2, value: value ?? "" });
  }
  const inputmode = type === "number" ? "decimal" : null;
  return element("input", { type, name, min, max, step, placeholder, inputmode, autocomplete: "off", value: value ?? "" });
}

function listenTo(input, { onInput, onChange }) {
  const read = () => (input.type === "checkbox" ? input.checked : input.value);
  if (onInput) {
    input.addEventListener("input", () => onInput(read()));
  }
  if (onChange) {
    input.addEventListener("change", () => onChange(read()));
  }
}

/**
 * Says something for a few seconds, to screen readers too. Errors stay until they are closed.
 * @param {string} message
 * @param {{kind?: "info"|"success"|"error"}} [options]
 * @returns {() => void} takes it away
 */
export function toast(message, { kind = "info" } = {}) {
  const box = region(kind === "error" ? "assertive" : "polite");
  const note = element("div", { class: `toast ${kind}` }, element("p", { text: message }));
  const remove = () => note.remove();
  note.append(button({ icon: "close", title: "Close this message", kind: "quiet", onClick: remove }));
  box.append(note);
  while (box.childElementCount > 4) {
    box.firstElementChild.remove();
  }
  if (kind !== "error") {
    setTimeout(remove, TOAST_MS);
  }
  return remove;
}

function region(politeness) {
  let stack = document.querySelector(".toasts");
  if (!stack) {
    stack = element("div", { class: "toasts" });
    document.body.append(stack);
    for (const each of ["polite", "assertive"]) {
      stack.append(element("div", { class: "toast-list", "aria-live": each, "aria-relevant": "additions" }));
    }
  }
  return stack.querySelector(`[aria-live="${politeness}"]`);
}

/** Makes the regions that messages go to, so that screen readers know them from the start. */
export function prepareToasts() {
  region("polite");
}

/**
 * A dialog over the page; Escape closes it and the focus goes back to where it was.
 * @param {{title: string, body: Array<Node>, buttons?: Array<HTMLElement>, wide?: boolean}} options
 * @returns {HTMLDialogElement} shown; remove it with close()
 */
export function dialog({ title, body, buttons = [], wide = false }) {
  const before = document.activeElement;
  fields += 1;
  const heading = element("h2", { id: `dialog-${fields}`, text: title });
  const node = element("dialog", { class: `dialog${wide ? " wide" : ""}`, "aria-labelledby": heading.id }, heading, ...body);
  if (buttons.length) {
    node.append(element("div", { class: "dialog-buttons" }, buttons));
  }
  node.addEventListener("close", () => {
    node.remove();
    before?.focus?.();
  });
  document.body.append(node);
  node.showModal();
  return node;
}

/**
 * Asks before something that cannot be taken back.
 * @param {{title: string, message: string, confirm: string, kind?: "primary"|"danger"}} options
 * @returns {Promise<boolean>}
 */
export function confirmDialog({ title, message, confirm, kind = "danger" }) {
  return new Promise((resolve) => {
    let answer = false;
    const yes = button({ label: confirm, kind, onClick: () => ((answer = true), node.close()) });
    const no = button({ label: "Cancel", onClick: () => node.close() });
    const node = dialog({ title, body: [element("p", { text: message })], buttons: [no, yes] });
    node.addEventListener("close", () => resolve(answer));
    no.focus();
  });
}

/**
 * Downloads what an address gives, under the name that the server says.
 * @param {string} address
 */
export function download(address) {
  const link = element("a", { href: address, download: "", hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
}

/**
 * @param {number} seconds
 * @param {number} [digits] behind the point
 * @returns {string} such as 1:02.5
 */
export function formatTime(seconds, digits = 1) {
  const unit = 10 ** digits;
  const whole = Math.round(Math.max(0, seconds || 0) * unit) / unit;
  const minutes = Math.floor(whole / 60);
  const rest = (whole - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return minutes >= 60
    ? `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`
    : `${minutes}:${rest}`;
}

/** @returns {number} a seed that is short enough to be read out */
export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1000000;
}

/**
 * Whether a key press is meant for a control rather than for the page.
 * @param {KeyboardEvent} event
 * @returns {boolean}
 */
export function isTyping(event) {
  const target = event.target;
  if (!(target instanceof HTMLElement) || target.closest("dialog")) {
    return target instanceof HTMLElement;
  }
  if (target.matches("input[type=checkbox], input[type=radio], input[type=range]")) {
    return event.key.length > 1 || event.key === " ";
  }
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

/**
 * The colour that a variable of studio.css has just now.
 * @param {string} name such as "--accent"
 * @returns {string}
 */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Tells "change" when the colour scheme changes, so that canvases can be drawn anew. */
export const scheme = new EventTarget();

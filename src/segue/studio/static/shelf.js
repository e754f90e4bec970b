// Earlier results and uploads, newest first, with the settings that made them.

const NAMES = { generate: "Generated", inpaint: "Inpainted", extend: "Extended", vary: "Varied", reconstruct: "Reconstructed" };

/**
 * Says in a few words what a job does or has done; the model's own settings are left out.
 * @param {string|null} kind such as "audio.vary"; null for what was opened
 * @param {object|null} settings
 * @param {{ui: object, info: object}} context
 * @param {object} [names] of the actions
 * @returns {string}
 */
export function describe(kind, settings, { ui, info }, names = NAMES) {
  if (!kind) {
    return "Opened";
  }
  const action = kind.replace(/^audio\./, "");
  const parts = [names[action] ?? action];
  const { seconds, start, end, strength, before } = settings ?? {};
  if (action === "inpaint") {
    parts[0] += ` ${ui.formatTime(start, 2)}–${ui.formatTime(end, 2)}`;
  } else if (action === "vary") {
    parts[0] += `, strength ${strength ?? 0.5}`;
  } else if (seconds !== undefined && seconds !== null) {
    parts[0] += ` ${seconds} s${before ? " before" : ""}`;
  }
  return [...parts, ...(action === "reconstruct" ? [] : described(changed(settings ?? {}, info)))].join(" · ");
}

/**
 * Settings without those that are the model's own.
 * @param {object} settings
 * @param {object} info
 * @returns {object}
 */
export function changed(settings, info) {
  const models = info.models.audio;
  const model = models.find((each) => each.name === settings.bundle) ?? models.find((each) => each.default) ?? models[0];
  const own = model?.defaults ?? {};
  return Object.fromEntries(Object.entries(settings).filter(([name, value]) => !Object.hasOwn(own, name) || own[name] !== value));
}

function described({ labels = [], negative_labels: unwanted = [], text, seed, steps, sampler, guidance }) {
  const known = (value) => value !== null && value !== undefined;
  return [
    ...(labels ?? []),
    ...(unwanted ?? []).map((label) => `not ${label}`),
    text ? `“${text}”` : null,
    known(seed) ? `seed ${seed}` : null,
    known(steps) ? `${steps} steps` : null,
    sampler || null,
    known(guidance) ? `guidance ${guidance}` : null,
  ].filter(Boolean);
}

function when(created) {
  const date = new Date(created);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "short", timeStyle: "short" });
}

/** Tells "open" (detail: id), "reuse" (detail: item) and "removed" (detail: id). */
export class Shelf extends EventTarget {
  #api;
  #ui;
  #context;
  #items = [];
  #current = null;

  /** @param {{api: object, info: object, ui: object}} context */
  constructor(context) {
    super();
    const { api, ui } = context;
    this.#context = context;
    this.#api = api;
    this.#ui = ui;
    this.list = ui.element("ul", { class: "shelf" });
    this.empty = ui.element("p", { class: "hint", text: "What you generate and open is kept here." });
    this.heading = ui.element("h2", { text: "Shelf", tabindex: "-1" });
    this.node = ui.element("section", { class: "panel shelf-panel", "aria-label": "Shelf" }, this.heading, this.empty, this.list);
  }

  /** What stands on the shelf. */
  get items() {
    return this.#items;
  }

  /** Which item is open. */
  set current(id) {
    this.#current = id;
    this.#draw();
  }

  /** Reads the shelf anew. */
  async refresh() {
    const all = await this.#api.get("/shelf");
    this.#items = all.filter((item) => item.kind === "recording");
    this.#draw();
  }

  #draw() {
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.of : null;
    this.list.replaceChildren(...this.#items.map((item) => this.#row(item)));
    this.empty.hidden = this.#items.length > 0;
    if (focused) {
      this.list.querySelector(`[data-of="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  #row(item) {
    const ui = this.#ui;
    const here = item.id === this.#current;
    const tell = (name, detail) => () => this.dispatchEvent(new CustomEvent(name, { detail }));
    const open = ui.element(
      "button",
      { type: "button", class: "shelf-open", "aria-current": here ? "true" : null, "data-of": `open-${item.id}`, on: { click: tell("open", item.id) } },
      ui.element("span", { class: "shelf-name", text: item.name || "Unnamed" }),
      ui.element("span", { class: "shelf-about", text: describe(item.job_kind, item.settings, this.#context) }),
    );
    const facts = ui.element("span", { class: "shelf-facts" }, ui.element("span", { text: ui.formatTime(item.seconds ?? 0) }), ui.element("time", { datetime: item.created, text: when(item.created) }));
    const reuse = ui.button({ icon: "reuse", title: `Use the settings of ${item.name}`, kind: "quiet", onClick: tell("reuse", item) });
    reuse.hidden = !item.job_kind;
    const remove = ui.button({ icon: "trash", title: `Delete ${item.name}`, kind: "quiet", onClick: () => this.#remove(item) });
    reuse.dataset.of = `reuse-${item.id}`;
    remove.dataset.of = `remove-${item.id}`;
    return ui.element("li", { class: here ? "here" : null }, open, facts, ui.element("span", { class: "shelf-tools" }, reuse, remove));
  }

  async #remove(item) {
    const sure = await this.#ui.confirmDialog({
      title: "Delete this recording?",
      message: `${item.name} (${this.#ui.formatTime(item.seconds ?? 0)}) is taken from the shelf and from the disk. This cannot be undone.`,
      confirm: "Delete",
    });
    if (!sure) {
      return;
    }
    try {
      await this.#api.remove(`/shelf/${item.id}`);
    } catch (error) {
      if (error.status !== 404) {
        this.#ui.toast(error.message, { kind: "error" });
        return;
      }
    }
    this.dispatchEvent(new CustomEvent("removed", { detail: item.id }));
    await this.refresh().catch(() => undefined);
    this.heading.focus();
  }
}

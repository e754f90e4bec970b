// The look-into room: models, what they were trained on, how well they do, evaluation reports.

import { showChart, showTable } from "./look_table.js";
import { render } from "./markdown.js";

const KINDS = { midi: "notes", audio: "sound", midigpt: "notes", ldmg: "sound" };

/** What the help dialog says of this room. */
export const shortcuts = [{ keys: ["↑", "↓"], text: "In the list: the model or report before, after" }];

let room = null;

/**
 * @param {HTMLElement} root
 * @param {{api: object, info: object, ui: object}} context
 * @returns {Promise<{unmount: () => void}>}
 */
export async function mount(root, context) {
  room ??= new Room(context);
  root.append(room.node);
  room.enter();
  return { unmount() {} };
}

class Room {
  #reports = [];
  #chosen = null;
  #known = new Map();

  constructor({ api, info, ui }) {
    Object.assign(this, { api, info, ui });
    this.models = ["midi", "audio"].flatMap((kind) => info.models[kind].map((model) => ({ ...model, kind })));
    this.list = ui.element("ul", { class: "look-list" });
    this.reports = ui.element("ul", { class: "look-list" });
    this.no_reports = ui.element("p", { class: "hint" }, "None. Start the studio with ", ui.element("code", { text: "--report FOLDER" }), " to read what ", ui.element("code", { text: "segue midi evaluate" }), " or ", ui.element("code", { text: "segue audio evaluate" }), " wrote.");
    const side = ui.element("nav", { class: "panel look-side", "aria-label": "Models and reports", on: { keydown: (event) => this.#key(event) } }, ui.element("h2", { text: "Models" }), this.list, ui.element("h2", { text: "Evaluation reports" }), this.reports, this.no_reports);
    this.place = ui.element("section", { class: "panel look-main", "aria-live": "off" });
    this.node = ui.element("div", { class: "look" }, side, this.place);
    this.#drawLists();
    if (this.models.length) {
      this.#choose("model", this.models[0].name);
    } else {
      this.place.append(ui.element("h1", { text: "Look into" }), ui.element("p", { text: "This studio offers no model." }));
    }
  }

  async enter() {
    try {
      this.#reports = await this.api.get("/reports");
      this.#drawLists();
    } catch (error) {
      this.ui.toast(error.message, { kind: "error" });
    }
  }

  #drawLists() {
    const focused = document.activeElement?.dataset?.look;
    this.list.replaceChildren(...this.models.map((model) => this.#entry("model", model.name, model.name, `writes ${KINDS[model.kind]}`)));
    this.reports.replaceChildren(...this.#reports.map((report) => this.#entry("report", report.name, report.title, "")));
    this.no_reports.hidden = this.#reports.length > 0;
    if (focused) {
      this.node.querySelector(`[data-look="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  #entry(kind, name, title, about) {
    const { element } = this.ui;
    const id = `${kind}:${name}`;
    const open = element(
      "button",
      { type: "button", class: "look-entry", "data-look": id, "aria-current": this.#chosen === id ? "true" : null, on: { click: () => this.#choose(kind, name) } },
      element("span", { class: "look-name", text: title }),
      about ? element("span", { class: "hint", text: about }) : null,
    );
    return element("li", {}, open);
  }

  #key(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const all = [...this.node.querySelectorAll(".look-entry")];
    const next = all[all.indexOf(document.activeElement) + step];
    if (step && next && all.includes(document.activeElement)) {
      event.preventDefault();
      next.focus();
    }
  }

  async #choose(kind, name) {
    this.#chosen = `${kind}:${name}`;
    this.#drawLists();
    this.place.setAttribute("aria-busy", "true");
    try {
      const parts = kind === "model" ? this.#model(await this.#read(name)) : this.#report(name);
      if (this.#chosen === `${kind}:${name}`) {
        this.place.replaceChildren(...parts);
      }
    } catch (error) {
      this.place.replaceChildren(this.ui.element("p", { class: "notice error", role: "alert", text: error.message }));
    } finally {
      this.place.removeAttribute("aria-busy");
    }
  }

  async #read(name) {
    if (!this.#known.has(name)) {
      this.#known.set(name, await this.api.get(`/models/${encodeURIComponent(name)}`));
    }
    return this.#known.get(name);
  }

  // A model

  #model(model) {
    const { element } = this.ui;
    const known = this.models.find((each) => each.name === model.name);
    const parts = [element("h1", { text: model.name }), known?.summary ? element("p", { class: "soft", text: `${known.summary}.` }) : "", this.#facts(model, known)];
    if (KINDS[model.kind] === "notes") {
      parts.push(element("p", { class: "notice" }, "How likely the model finds each note of a candidate is shown on the piano roll of the ", element("a", { href: "#/midi", text: "Symbolic room" }), "."));
    }
    parts.push(...this.#evaluation(model), element("h2", { class: "look-heading", text: "Model card" }), element("article", { class: "card" }, this.#card(model.card)));
    return parts;
  }

  #card(text) {
    // The card's own title is the name above.
    return render(text.replace(/^\s*# [^\n]*\n/, ""), { level: 2 });
  }

  #facts(model, known) {
    const { element } = this.ui;
    const facts = [["Writes", KINDS[model.kind] ?? model.kind], ["Size", `${(model.size_bytes / 1e6).toFixed(1)} MB`]];
    if (known?.rate_hz) {
      facts.push(["Sound", `${known.rate_hz / 1000} kHz, ${{ 1: "mono", 2: "stereo" }[known.channels] ?? `${known.channels} channels`}`]);
    }
    if (known?.window_seconds) {
      facts.push(["Hears at a time", `${Math.round(10 * known.window_seconds) / 10} s`]);
    }
    for (const [name, value] of Object.entries(model.training ?? {})) {
      const plain = value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
      facts.push([name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " "), plain]);
    }
    facts.sort((one, two) => Number(one[1].length > 34) - Number(two[1].length > 34));
    return element("dl", { class: "facts-list" }, facts.map(([name, value]) => element("div", { class: value.length > 34 ? "long" : null }, element("dt", { text: name }), element("dd", { text: value }))));
  }

  #evaluation({ evaluation, name }) {
    const { element } = this.ui;
    const tables = evaluation?.tables ?? [];
    if (!tables.length) {
      return [];
    }
    const chart = tables.map((table) => showChart(table, name)).find((each) => each !== null) ?? null;
    return [element("h2", { class: "look-heading", text: "Evaluation" }), ...(chart ? [chart] : []), ...tables.map(showTable)];
  }

  // A report

  #report(name) {
    const { element } = this.ui;
    const report = this.#reports.find((each) => each.name === name);
    const address = this.api.url(`/reports/${encodeURIComponent(name)}`);
    const link = element("a", { href: address, target: "_blank", rel: "noopener", text: "Open it in a tab of its own" });
    return [element("h1", { text: report?.title ?? name }), element("p", {}, link), element("iframe", { class: "report", src: address, sandbox: "", title: `Report: ${report?.title ?? name}` })];
  }
}

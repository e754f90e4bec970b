// The drawer of settings: how the model draws, and how often.

import { button, element, field, randomSeed, setPressed } from "./ui.js";

const KEY = "segue.midi.settings";
const FIRST = { candidates: 4, seed: 1, locked: false, temperature: "", top_p: "", top_k: "", model: "", method: "infill" };
const METHODS = [
  { value: "infill", label: "Infill: the hole is hidden" },
  { value: "original", label: "Original: a variation of what is there" },
];

export class Settings {
  /** @param {object} info of the server */
  constructor(info) {
    this.models = info?.models?.midi ?? [];
    this.mostCandidates = info?.limits?.candidates ?? 16;
    this.values = { ...FIRST, ...stored() };
    if (!this.models.some((model) => model.name === this.values.model)) {
      this.values.model = this.#default()?.name ?? "";
    }
    this.node = element("details", { class: "drawer settings" }, element("summary", { text: "Settings" }));
    this.build();
  }

  #default() {
    return this.models.find((model) => model.default) ?? this.models[0];
  }

  #model() {
    return this.models.find((model) => model.name === this.values.model) ?? this.#default();
  }

  /** Builds the fields anew from the values. */
  build() {
    const { values } = this;
    const defaults = this.#model()?.defaults ?? {};
    const number = (name, label, options) =>
      field({ label, type: "number", name, value: values[name], onInput: (value) => this.set(name, value), ...options });
    const own = (value) => (value === null || value === undefined ? "off" : `${value}`);
    this.seed = number("seed", "Seed", { min: 0, max: 4294967295, step: 1 });
    this.lock = button({
      label: values.locked ? "Locked" : "Varies",
      title: "Whether every request takes another seed, or all the same",
      pressed: values.locked,
      onClick: () => this.#toggleLock(),
    });
    this.lock.classList.add("seed-lock");
    const dice = button({ icon: "dice", title: "Another seed", onClick: () => this.#roll() });
    const choices = this.models.map(({ name }) => ({ value: name, label: name }));
    const model = field({ label: "Model", options: choices, value: values.model, onChange: (name) => this.#choose(name) });
    const method = field({
      label: "Method", options: METHODS, value: values.method, onChange: (value) => this.set("method", value),
    });
    const reset = button({ label: "Reset settings", kind: "quiet", onClick: () => this.reset() });
    this.seedRow = element("div", { class: "row end seed-row" }, this.seed, dice, this.lock);
    this.seed.classList.add("grow");
    const fields = element(
      "div",
      { class: "settings-fields" },
      element("div", { class: "field-pair" }, number("candidates", "Candidates", { min: 1, max: this.mostCandidates, step: 1 }),
        number("temperature", "Temperature", { min: 0.05, max: 5, step: 0.05, placeholder: own(defaults.temperature) })),
      this.seedRow,
      element("div", { class: "field-pair" },
        number("top_p", "Top-p", { min: 0.01, max: 1, step: 0.01, placeholder: own(defaults.top_p) }),
        number("top_k", "Top-k", { min: 1, step: 1, placeholder: own(defaults.top_k) })),
      element("p", { class: "hint", text: "Empty fields use the model’s own values." }),
      model,
      method,
      element("div", null, reset),
    );
    this.node.querySelector(".settings-fields")?.remove();
    this.node.append(fields);
  }

  /** Sets one value. */
  set(name, value) {
    this.values[name] = value;
    this.#store();
  }

  #choose(name) {
    this.set("model", name);
    this.build();
  }

  #toggleLock() {
    this.set("locked", !this.values.locked);
    setPressed(this.lock, this.values.locked);
    this.lock.querySelector("span").textContent = this.values.locked ? "Locked" : "Varies";
  }

  #roll() {
    this.set("seed", randomSeed());
    this.seed.input.value = this.values.seed;
  }

  /** After a request: another seed for the next, unless it is locked. */
  afterRequest() {
    if (!this.values.locked) {
      this.#roll();
    }
  }

  /** Back to what the page came with. */
  reset() {
    this.values = { ...FIRST, model: this.#default()?.name ?? "" };
    this.#store();
    this.build();
    this.node.querySelector("input")?.focus();
  }

  #store() {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(this.values));
    } catch {
      // Storage is closed to this page: settings last until the page is left.
    }
  }

  /** What a request carries. @param {string} kind of request: only holes have a method */
  asked(kind) {
    const { candidates, seed, temperature, top_p: topP, top_k: topK, model, method } = this.values;
    const given = { candidates: Number(candidates) || 1, seed: Number(seed) || 0, model };
    if (kind === "inpaint") {
      given.method = method;
    }
    for (const [name, value] of Object.entries({ temperature, top_p: topP, top_k: topK })) {
      if (String(value).trim() !== "") {
        given[name] = Number(value);
      }
    }
    return given;
  }
}

/**
 * How a piece was made, in words.
 * @param {string|null} kind of the job; null for what was opened
 * @param {object|null} settings of the job
 * @returns {string} such as "filled bars 9-12"
 */
export function madeText(kind, settings) {
  if (!kind) {
    return "opened";
  }
  const { bars, beats, seconds, before } = settings ?? {};
  const many = Number(bars) === 1 ? "1 bar" : `${bars} bars`;
  return {
    "midi.inpaint": `filled ${bars ? `bars ${bars}` : beats ? `beats ${beats}` : `seconds ${seconds}`}`,
    "midi.outpaint": before ? `led in by ${many}` : `continued by ${many}`,
    "midi.compose": `composed, ${many}`,
  }[kind] ?? kind.replace("midi.", "");
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}

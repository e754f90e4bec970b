// The settings of the audio room: what is to be done, what is asked for, how.

import { changed } from "./shelf.js";

/** What can be done, in the order in which it is offered. */
export const ACTIONS = {
  generate: { label: "Generate", icon: "generate", about: "Writes sound from nothing." },
  inpaint: { label: "Inpaint", icon: "inpaint", about: "Writes new sound into the marked span; every sample outside it stays as it is." },
  extend: { label: "Extend", icon: "extend", about: "Goes on where the recording ends, or leads in before it begins." },
  vary: { label: "Vary", icon: "vary", about: "Writes sound that is like the recording." },
  reconstruct: { label: "Reconstruct", icon: "reconstruct", about: "What the model's autoencoder alone makes of the recording: encoded and decoded, nothing new." },
};

const SAMPLER_NAMES = { "dpm++2m": "DPM++ 2M", ddim: "DDIM", ddpm: "DDPM", euler: "Euler", heun: "Heun", pingpong: "Ping-pong", shortcut: "Shortcut" };

function numberOf(box) {
  const text = box.input.value.trim();
  return text === "" ? null : Number(text);
}

/** Whether a model can be asked in words here. */
function readsWords(model) {
  return model.text && !model.text_needs;
}

function whyNoWords(model) {
  if (!model.text) {
    return `${model.name} was trained without texts: choose labels.`;
  }
  return `Words need word vectors that are not installed: pip install '${model.text_needs}', then start the studio anew.`;
}

/** Tells "submit" (detail: {action, settings}) and "action". */
export class Form extends EventTarget {
  #ui;
  #models;
  #info;
  #action = "generate";
  #busy = false;
  #recording = null;
  #span = null;
  #labels = new Map();
  #unwanted = new Map();

  /** @param {{info: object, ui: object}} context */
  constructor({ info, ui }) {
    super();
    this.#ui = ui;
    this.#info = info;
    this.#models = info.models.audio;
    this.#build(info);
    this.#showModel();
    this.#show();
  }

  get action() {
    return this.#action;
  }

  /** The model that is chosen. */
  get model() {
    const wanted = this.model_box.input.value;
    return this.#models.find((model) => model.name === wanted) ?? this.#models[0];
  }

  /** What is open, and what is marked in it; both may be null. */
  tell(recording, span) {
    this.#recording = recording;
    this.#span = span;
    this.#show();
  }

  /** Shows what the server has to say against the settings; null takes it away. */
  complain(message) {
    this.error.textContent = message ?? "";
    this.error.hidden = !message;
  }

  /** While a request is on its way it cannot be sent again. */
  set busy(value) {
    this.#busy = value;
    this.#show();
  }

  // Building

  #build(info) {
    const { ui } = this;
    const choice = this.#models.map((model) => ({ value: model.name, label: model.name }));
    const first = this.#models.find((model) => model.default) ?? this.#models[0];
    this.model_box = ui.field({ label: "Model", options: choice, value: first?.name, onChange: () => this.#showModel() });
    this.model_box.hidden = choice.length < 2;
    this.actions = this.#buildActions();
    this.about = ui.element("p", { class: "hint" });
    this.#buildOwn();
    this.#buildAsked();
    this.#buildDrawer(info);
    this.error = ui.element("p", { class: "notice error", role: "alert", hidden: true });
    this.submit = ui.button({ label: "Generate", icon: "generate", kind: "primary", onClick: () => this.#send() });
    this.submit.classList.add("make");
    this.foot = ui.element("div", { class: "form-foot" }, this.error, this.submit);
    this.node = ui.element(
      "section",
      { class: "panel stack audio-form", "aria-label": "Make sound" },
      this.actions, this.about, this.seconds, this.strength, this.place, this.span_note,
      this.model_box, this.asked, this.seed_row, this.drawer, this.foot,
    );
    this.node.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("input:not([type=checkbox])")) {
        this.#send();
      }
    });
  }

  get ui() {
    return this.#ui;
  }

  #buildActions() {
    const { ui } = this;
    const options = Object.entries(ACTIONS).map(([name, { label, icon, about }]) => {
      const input = ui.element("input", { type: "radio", name: "audio-action", value: name, checked: name === this.#action, title: about });
      input.addEventListener("change", () => this.choose(name));
      return ui.element("label", { class: "action" }, input, ui.element("span", {}, ui.icon(icon), label));
    });
    return ui.element("fieldset", { class: "actions" }, ui.element("legend", { class: "visually-hidden", text: "What to make" }), options);
  }

  #buildOwn() {
    const { ui } = this;
    this.seconds = ui.field({ label: "Duration", type: "number", value: 10, min: 0.1, step: "any", unit: "s", onInput: () => this.#show() });
    this.strength = ui.field({ label: "Strength 0.50", type: "range", value: 0.5, min: 0.05, max: 1, step: 0.05, hint: "Near 0: nearly the same. 1: nothing of it left.", onInput: () => this.#show() });
    const places = [{ value: "after", label: "After the end" }, { value: "before", label: "Before the beginning" }];
    this.place = ui.field({ label: "Where", options: places });
    this.span_note = ui.element("p", { class: "span-note" });
  }

  #buildAsked() {
    const { ui } = this;
    this.labels = ui.element("fieldset", { class: "chips" });
    this.text = ui.field({ label: "In words", type: "textarea" });
    this.negative = ui.field({ label: "Not wanted, in words", type: "text" });
    this.asked = ui.element("div", { class: "stack" }, this.labels, this.text, this.negative);
    this.seed = ui.field({ label: "Seed", type: "number", value: 0, min: 0, step: 1, hint: "Same seed and settings, same sound." });
    const dice = ui.button({ icon: "dice", title: "Another seed", onClick: () => (this.seed.input.value = ui.randomSeed()) });
    this.seed.classList.add("grow");
    this.seed_row = ui.element("div", { class: "row with-dice" }, this.seed, dice);
  }

  #buildDrawer(info) {
    const { ui } = this;
    this.steps = ui.field({ label: "Steps", type: "number", min: 1, step: 1, value: "" });
    const samplers = info.samplers.map((name) => ({ value: name, label: SAMPLER_NAMES[name] ?? name }));
    this.sampler = ui.field({ label: "Sampler", options: [{ value: "", label: "The model's own" }, ...samplers] });
    this.guidance = ui.field({ label: "Guidance", type: "number", min: 0, step: "any", value: "", hint: "How much what is asked for is exaggerated; 1: not at all. Counts where something is asked for." });
    this.unwanted = ui.element("fieldset", { class: "chips" });
    this.drawer = ui.element(
      "details",
      { class: "drawer" },
      ui.element("summary", { text: "More settings" }),
      ui.element("div", { class: "stack" }, ui.element("div", { class: "audio-pair" }, this.steps, this.guidance), this.sampler, this.unwanted),
    );
  }

  // Showing

  #showModel() {
    const { model } = this;
    if (!model) {
      return;
    }
    this.#showChips(this.labels, this.#labels, "Genre", model.labels);
    this.#showChips(this.unwanted, this.#unwanted, "Not this", model.labels);
    const words = readsWords(model);
    for (const box of [this.text, this.negative]) {
      box.input.disabled = !words;
    }
    this.text.setHint(words ? "" : whyNoWords(model));
    this.text.input.rows = words ? 2 : 1;
    this.text.input.placeholder = words ? "slow piano in a large hall" : "";
    this.negative.setHint("");
    this.negative.hidden = !words;
    this.steps.input.placeholder = String(model.defaults.steps ?? "");
    this.guidance.input.placeholder = String(model.defaults.guidance ?? "");
    const own = SAMPLER_NAMES[model.defaults.sampler] ?? model.defaults.sampler;
    this.sampler.input.options[0].textContent = own ? `${own} (the model's own)` : "The model's own";
  }

  #showChips(box, chosen, title, labels) {
    const { ui } = this;
    const before = new Set([...chosen].filter(([, input]) => input.checked).map(([label]) => label));
    chosen.clear();
    const chips = labels.map((label) => {
      const input = ui.element("input", { type: "checkbox", value: label, checked: before.has(label) });
      chosen.set(label, input);
      return ui.element("label", { class: "chip" }, input, ui.element("span", { text: label }));
    });
    box.replaceChildren(ui.element("legend", { text: title }), ...chips);
    box.hidden = labels.length === 0;
  }

  /** @param {string} action that is done when the button is pressed */
  choose(action) {
    this.#action = action;
    this.actions.querySelector(`[value="${action}"]`).checked = true;
    this.complain(null);
    this.#show();
    this.dispatchEvent(new Event("action"));
  }

  #show() {
    const action = this.#action;
    this.about.textContent = ACTIONS[action].about;
    this.seconds.hidden = !["generate", "extend"].includes(action);
    this.place.hidden = action !== "extend";
    this.strength.hidden = action !== "vary";
    this.asked.hidden = this.seed_row.hidden = this.drawer.hidden = action === "reconstruct";
    const strength = Number(this.strength.input.value).toFixed(2);
    this.strength.querySelector("label").textContent = `Strength ${strength}`;
    this.#showReady(action);
  }

  #showReady(action) {
    const { formatTime } = this.#ui;
    const missing = this.#missing(action);
    this.span_note.textContent = missing ?? (action === "inpaint" ? `Marked: ${formatTime(this.#span[0], 2)} to ${formatTime(this.#span[1], 2)}.` : "");
    this.span_note.hidden = this.span_note.textContent === "";
    this.span_note.classList.toggle("missing", missing !== null);
    this.submit.disabled = missing !== null || this.#busy;
    this.#ui.setIcon(this.submit, ACTIONS[action].icon);
    this.submit.querySelector("span").textContent = this.#say(action);
  }

  #missing(action) {
    if (!this.model) {
      return "This studio offers no model for audio.";
    }
    if (action === "generate") {
      return null;
    }
    if (!this.#recording) {
      return "Open a recording, or generate one, first.";
    }
    return action === "inpaint" && !this.#span ? "Mark a span in the waveform first: drag over it, or type its start and end." : null;
  }

  #say(action) {
    const seconds = Number(this.seconds.input.value) || 0;
    const length = this.#span ? this.#span[1] - this.#span[0] : 0;
    return {
      generate: `Generate ${seconds.toFixed(1)} s`,
      inpaint: this.#span ? `Inpaint ${length.toFixed(2)} s` : "Inpaint",
      extend: `Extend by ${seconds.toFixed(1)} s`,
      vary: "Vary",
      reconstruct: "Reconstruct",
    }[action];
  }

  // Settings

  /** What would be sent now. */
  settings() {
    const action = this.#action;
    const own = {
      generate: () => ({ seconds: numberOf(this.seconds) }),
      inpaint: () => ({ start: this.#span[0], end: this.#span[1] }),
      extend: () => ({ seconds: numberOf(this.seconds), before: this.place.input.value === "before" }),
      vary: () => ({ strength: numberOf(this.strength) }),
      reconstruct: () => ({}),
    }[action]();
    const about = action === "generate" ? {} : { recording: this.#recording.id };
    const asked = action === "reconstruct" ? {} : this.#asked();
    return Object.fromEntries(Object.entries({ ...about, ...own, ...asked, bundle: this.model.name }).filter(([, value]) => value !== null));
  }

  #asked() {
    const picked = (chosen) => [...chosen].filter(([, input]) => input.checked).map(([label]) => label);
    const words = (box) => (readsWords(this.model) ? box.input.value.trim() : "");
    return {
      labels: picked(this.#labels),
      negative_labels: picked(this.#unwanted),
      text: words(this.text),
      negative: words(this.negative),
      seed: numberOf(this.seed),
      steps: numberOf(this.steps),
      sampler: this.sampler.input.value || null,
      guidance: numberOf(this.guidance),
    };
  }

  #send() {
    if (this.submit.disabled) {
      return;
    }
    this.complain(null);
    const wrong = [...this.node.querySelectorAll("input")].find((input) => input.offsetParent !== null && !input.checkValidity());
    if (wrong) {
      wrong.reportValidity();
      return;
    }
    this.dispatchEvent(new CustomEvent("submit", { detail: { action: this.#action, settings: this.settings() } }));
  }

  /**
   * Takes the settings of an earlier result over.
   * @param {string} kind of the job, such as "audio.vary"
   * @param {object} given settings
   */
  reuse(kind, given) {
    const settings = { ...changed(given, this.#info), bundle: given.bundle };
    const action = kind.replace(/^audio\./, "");
    if (settings.bundle && this.#models.some((model) => model.name === settings.bundle)) {
      this.model_box.input.value = settings.bundle;
      this.#showModel();
    }
    const put = (box, value) => (box.input.value = value ?? "");
    if (settings.seconds !== undefined) {
      put(this.seconds, settings.seconds);
    }
    put(this.strength, settings.strength ?? 0.5);
    put(this.place, settings.before ? "before" : "after");
    put(this.seed, settings.seed ?? 0);
    for (const name of ["text", "negative", "steps", "sampler", "guidance"]) {
      put(this[name], settings[name]);
    }
    this.#tick(this.#labels, settings.labels);
    this.#tick(this.#unwanted, settings.negative_labels);
    this.drawer.open ||= Boolean(settings.steps || settings.sampler || settings.guidance || settings.negative_labels?.length);
    this.choose(Object.hasOwn(ACTIONS, action) ? action : "generate");
  }

  #tick(chosen, labels) {
    for (const [label, input] of chosen) {
      input.checked = (labels ?? []).includes(label);
    }
  }
}

// The panel below: the job while it runs, then its candidates.

import { button, element, setPressed } from "./ui.js";
import { legend, minus } from "./midi_likelihood.js";
import { madeText } from "./midi_settings.js";

const WORDS = {
  asking: "Asking …",
  running: "Writing …",
  cancelled: "Cancelled.",
  interrupted: "The server was stopped while it wrote.",
};

export class Results {
  /** @param {object} handlers onChoose(number), onSide(side), onKeep, onDiscard, onCancel, onRetry, onLikelihood(on) */
  constructor(handlers) {
    this.handlers = handlers;
    this.run = null;
    this.#build();
  }

  #build() {
    const { handlers } = this;
    this.state = element("p", { class: "run-state" });
    this.bar = element("progress", { "aria-label": "Progress", max: 1 });
    this.cancel = button({ label: "Cancel", icon: "close", onClick: () => handlers.onCancel() });
    this.message = element("p", { class: "run-error", role: "alert" });
    this.retry = button({ label: "Try again", onClick: () => handlers.onRetry() });
    this.close = button({ label: "Close", kind: "quiet", onClick: () => handlers.onDiscard() });
    this.trouble = element("div", { class: "run-trouble" }, this.message, element("div", { class: "row" }, this.retry, this.close));
    this.tabs = element("div", { class: "candidates", role: "radiogroup", "aria-label": "Candidates" });
    this.tabs.addEventListener("keydown", (event) => this.#arrow(event));
    this.sides = ["original", "candidate"].map((side) => {
      const label = side === "original" ? "A Original" : "B Candidate";
      const node = button({ label, title: `Show and play the ${side} (B)`, pressed: false, onClick: () => handlers.onSide(side) });
      node.dataset.side = side;
      return node;
    });
    this.ab = element("div", { class: "group sides", role: "group", "aria-label": "Compare" }, this.sides);
    this.keep = button({ label: "Keep", icon: "check", kind: "primary", title: "Take this candidate as the piece (K)", onClick: () => handlers.onKeep() });
    this.discard = button({ label: "Discard", title: "Go back to the piece as it was", onClick: () => handlers.onDiscard() });
    this.choice = element("div", { class: "row choice" }, this.keep, this.discard);
    this.settings = element("p", { class: "hint run-settings" });
    this.likely = element("input", { type: "checkbox", role: "switch", on: { change: () => handlers.onLikelihood(this.likely.checked) } });
    this.legend = legend();
    this.note = element("p", { class: "note-text", "aria-live": "polite" });
    this.likelihood = element(
      "div",
      { class: "likelihood" },
      element("label", { class: "switch" }, this.likely, element("span", { text: "Show how likely each note was" })),
      this.legend,
      this.note,
    );
    this.node = element(
      "section",
      { class: "side-part results", "aria-label": "Candidates", hidden: true },
      element("div", { class: "run-line" }, this.state, this.cancel),
      this.bar, this.trouble, this.tabs, this.ab, this.choice, this.settings, this.likelihood,
    );
  }

  #arrow(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) {
      return;
    }
    event.preventDefault();
    const all = [...this.tabs.children];
    const next = all[(all.findIndex((tab) => tab.getAttribute("aria-checked") === "true") + step + all.length) % all.length];
    next?.click();
    next?.focus();
  }

  /**
   * @param {Run|null} run
   * @param {{side: string, likelihood: boolean, piece: Piece|null}} look piece: the one that is open
   */
  show(run, { side, likelihood, piece }) {
    this.run = run;
    const origin = run ? null : (piece?.origin ?? null);
    const hasLikelihood = !run && Boolean(piece?.logProbs.size);
    this.node.hidden = !run && !origin;
    this.node.classList.toggle("plain", !run);
    this.state.textContent = run ? stateText(run) : "This piece";
    this.cancel.hidden = !run?.underWay || !run.id;
    this.bar.hidden = !run?.underWay;
    this.showProgress();
    this.#showTrouble(run);
    const done = run?.state === "done";
    this.tabs.hidden = !run || Boolean(run.error) || !(run.underWay || done);
    this.#showTabs(run);
    this.ab.hidden = !done;
    this.choice.hidden = !done;
    this.sides.forEach((node) => setPressed(node, node.dataset.side === side));
    this.settings.hidden = !done && !origin;
    this.settings.textContent = origin ? originText(origin) : done ? settingsText(run.request.body) : "";
    this.likelihood.hidden = !(done || hasLikelihood);
    this.likely.checked = likelihood;
    this.legend.hidden = !likelihood;
  }

  /** Shows how far the job is. */
  showProgress() {
    if (typeof this.run?.progress === "number") {
      this.bar.value = this.run.progress;
    } else {
      this.bar.removeAttribute("value");
    }
  }

  #showTrouble(run) {
    const stopped = run && !run.underWay && run.state !== "done";
    this.trouble.hidden = !stopped;
    if (stopped) {
      this.message.textContent = run.error?.message ?? "";
      this.message.hidden = !run.error;
    }
  }

  #showTabs(run) {
    const numbers = run?.candidates.length ? run.candidates.map((one) => one.number) : [...(run?.live.keys() ?? [])];
    const shown = [...this.tabs.children];
    if (shown.length !== numbers.length) {
      this.tabs.replaceChildren(...numbers.map(() => this.#tab()));
    }
    numbers.forEach((number, i) => this.#fill(this.tabs.children[i], run, number, i));
  }

  #tab() {
    return element(
      "button",
      { type: "button", class: "candidate", role: "radio", on: { click: (event) => this.handlers.onChoose(Number(event.currentTarget.dataset.number)) } },
      element("span", { class: "candidate-name" }),
      element("span", { class: "candidate-more" }),
    );
  }

  #fill(node, run, number, place) {
    const told = run.candidates.find((one) => one.number === number);
    const count = told ? told.num_notes : (run.live.get(number) ?? []).length;
    const chosen = number === run.chosen;
    node.dataset.number = number;
    node.setAttribute("aria-checked", String(chosen));
    node.tabIndex = chosen ? 0 : -1;
    const notes = count === 1 ? "1 note" : `${count} notes`;
    const likely = told ? `${minus(told.log_prob_per_note.toFixed(2))} per note` : "";
    node.firstChild.textContent = String(place + 1);
    node.lastChild.textContent = likely ? `${notes}\n${likely}` : notes;
    const rank = told ? `, ranked ${place + 1}, log-likelihood ${likely}` : "";
    node.setAttribute("aria-label", `Candidate ${place + 1}, ${notes}${rank}`);
  }

  /** A candidate in words. */
  nameOf(number) {
    return [...this.tabs.children].find((tab) => Number(tab.dataset.number) === number)?.getAttribute("aria-label") ?? "";
  }

  /** Counts notes as they come. */
  count() {
    if (this.run && !this.run.candidates.length) {
      this.#showTabs(this.run);
    }
  }

  /** Says something about a note that was chosen. */
  say(text) {
    this.note.textContent = text;
  }
}

function stateText(run) {
  if (run.state === "queued") {
    const before = run.position ?? 0;
    return before > 0 ? `Waiting: ${before} ${before === 1 ? "request" : "requests"} before this one` : "Waiting: next in line";
  }
  if (run.state === "done") {
    return `${run.candidates.length === 1 ? "1 candidate" : `${run.candidates.length} candidates`}: ${run.request.label}`;
  }
  if (run.state === "failed") {
    return run.error?.kind === "busy" ? "The server is busy" : "This could not be written";
  }
  return WORDS[run.state] ?? run.state;
}

function originText({ kind, settings, num_notes: count }) {
  const made = madeText(kind, settings);
  return [made.charAt(0).toUpperCase() + made.slice(1), `${count} new notes`, settingsText(settings)].join(" · ");
}

function settingsText(body) {
  const extra = ["temperature", "top_p", "top_k"].filter((name) => typeof body[name] === "number").map((name) => `${name.replace("_", "-")} ${body[name]}`);
  return [`Seed ${body.seed}`, ...extra, body.model].filter(Boolean).join(" · ");
}

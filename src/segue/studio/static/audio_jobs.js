// Jobs of this page: place in the queue, progress, cancel, what went wrong.

import { ACTIONS } from "./audio_form.js";
import { describe } from "./shelf.js";

const NAMES = Object.fromEntries(Object.entries(ACTIONS).map(([name, { label }]) => [name, label]));
const KEY = "segue.audio.jobs";

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

function place(position) {
  if (position === null || position === undefined) {
    return "Waiting";
  }
  return position === 0 ? "Next in the queue" : `In the queue, ${position} before it`;
}

/** Tells "done" (detail: {job, recording}). */
export class JobList extends EventTarget {
  #api;
  #ui;
  #context;
  #rows = new Map();

  /** @param {{api: object, info: object, ui: object}} context */
  constructor(context) {
    super();
    const { api, ui } = context;
    this.#context = context;
    this.#api = api;
    this.#ui = ui;
    this.node = ui.element("ul", { class: "jobs", "aria-label": "Jobs" });
    this.node.hidden = true;
  }

  /** Goes on following what this page had started before it was loaded again. */
  async resume() {
    for (const id of kept()) {
      try {
        this.add(await this.#api.get(`/jobs/${id}`));
      } catch {
        this.#forget(id);
      }
    }
  }

  /** @param {object} job as the server answers it */
  add(job) {
    const ui = this.#ui;
    const row = { job, text: ui.element("span", { class: "job-state", role: "status" }), share: ui.element("span", { class: "job-state", "aria-hidden": "true" }), bar: ui.element("progress", { max: "1", value: 0, "aria-label": "Progress" }) };
    row.cancel = ui.button({ label: "Cancel", icon: "close", onClick: () => this.#cancel(row) });
    const title = ui.element("strong", { text: this.#say(job) });
    row.node = ui.element("li", {}, ui.element("div", { class: "job-text" }, title, ui.element("span", {}, row.text, row.share)), row.bar, row.cancel);
    this.#rows.set(job.id, row);
    this.node.prepend(row.node);
    this.#save();
    if (job.state === "queued") {
      this.#tell(row, job.state, job.position);
    }
    row.following = this.#api.follow(job.id, { onEvent: (name, data) => this.#event(row, name, data) });
  }

  #say(job) {
    return describe(job.kind, job.settings, this.#context, NAMES);
  }

  #event(row, name, data) {
    if (name === "state") {
      this.#tell(row, data.state, data.position);
    } else if (name === "progress" && data.total) {
      row.bar.value = Math.min(1, data.done / data.total);
      // The share is the bar's value: said in words at every step, it would drown everything else.
      row.share.textContent = `, ${Math.round((100 * data.done) / data.total)} %`;
    } else if (name === "result") {
      row.result = data;
    } else if (name === "error") {
      row.error = data;
    } else if (name === "end") {
      this.#end(row, data.state);
    }
  }

  #tell(row, state, position) {
    const words = { queued: place(position), running: "Running", cancelled: "Cancelled", interrupted: "Interrupted", failed: "Failed", done: "Done" };
    const said = words[state] ?? state;
    if (row.text.textContent !== said) {
      row.text.textContent = said;
    }
    row.share.textContent = "";
  }

  #end(row, state) {
    this.#forget(row.job.id);
    if (state === "done" && row.result) {
      this.#drop(row);
      this.dispatchEvent(new CustomEvent("done", { detail: { job: row.job, recording: row.result.recording } }));
    } else if (state === "cancelled") {
      this.#drop(row);
      this.#ui.toast(`Cancelled: ${this.#say(row.job)}`);
    } else {
      this.#fail(row, state);
    }
  }

  #fail(row, state) {
    const why = row.error?.message ?? (state === "interrupted" ? "The studio was stopped while it worked on this. Start it once more." : "It did not succeed.");
    row.node.classList.add("failed");
    row.text.textContent = why;
    row.text.setAttribute("role", "alert");
    row.bar.remove();
    row.share.remove();
    row.cancel.replaceWith(this.#ui.button({ icon: "close", title: "Take this note away", kind: "quiet", onClick: () => this.#drop(row) }));
  }

  async #cancel(row) {
    row.cancel.disabled = true;
    row.text.textContent = "Cancelling …";
    row.share.textContent = "";
    try {
      await this.#api.remove(`/jobs/${row.job.id}`);
    } catch (error) {
      row.cancel.disabled = false;
      this.#ui.toast(error.message, { kind: "error" });
    }
  }

  #drop(row) {
    const focused = row.node.contains(document.activeElement);
    row.following?.stop();
    row.node.remove();
    this.#rows.delete(row.job.id);
    this.node.hidden = this.#rows.size === 0;
    if (focused) {
      document.getElementById("room").focus({ preventScroll: true });
    }
  }

  #forget(id) {
    this.#store(kept().filter((each) => each !== id));
  }

  #save() {
    this.node.hidden = false;
    this.#store([...new Set([...kept(), ...this.#rows.keys()])]);
  }

  #store(ids) {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(ids));
    } catch {
      // Without storage a page that is loaded again does not know its jobs; the shelf has their results.
    }
  }
}

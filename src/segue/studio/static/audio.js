// The audio room: makes sound, shows and plays it, changes it span by span, keeps what came.

import { Form } from "./audio_form.js";
import { JobList } from "./audio_jobs.js";
import { Player } from "./audio_player.js";
import { Shelf } from "./shelf.js";
import { Transport } from "./audio_transport.js";
import { WaveView } from "./wave.js";

const KEY = "segue.audio.current";
const TYPES = ".wav,.flac,.ogg,.opus,.mp3,.aif,.aiff,.m4a,audio/*";

/** What the help dialog says of this room. */
export const shortcuts = [
  { keys: ["Space"], text: "Play or pause" },
  { keys: ["L"], text: "Loop over the marked span" },
  { keys: ["B"], text: "Hear the source in place of the result" },
  { keys: ["[", "]"], text: "The span begins, ends at the cursor" },
  { keys: ["Esc"], text: "Take the mark away" },
  { keys: ["+", "-", "0"], text: "Zoom in, out, show all" },
  { keys: ["←", "→"], text: "In the waveform: move the cursor; with Shift: mark" },
  { keys: ["Home", "End"], text: "In the waveform: to the beginning, the end" },
  { keys: ["Page Up", "Page Down"], text: "In the waveform: scroll" },
];

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
  return { unmount: () => room.leave() };
}

class Room {
  #recording = null;
  #turn = 0;
  #newest = null;
  #onKey = (event) => this.#key(event);

  constructor(context) {
    Object.assign(this, context);
    this.player = new Player();
    this.wave = new WaveView(context);
    this.form = new Form(context);
    this.jobs = new JobList(context);
    this.shelf = new Shelf(context);
    this.transport = new Transport(context, this);
    this.#build();
    this.#connect();
    this.#restore();
  }

  /** What is open, or null. */
  get recording() {
    return this.#recording;
  }

  enter() {
    document.addEventListener("keydown", this.#onKey);
    this.wave.redraw();
  }

  leave() {
    document.removeEventListener("keydown", this.#onKey);
    this.player.pause();
  }

  #build() {
    const { element, button } = this.ui;
    this.file = element("input", { type: "file", accept: TYPES, hidden: true, "aria-label": "Sound file", on: { change: () => this.#upload(this.file.files[0]) } });
    this.name = element("h1", { text: "Audio" });
    this.facts = element("p", { class: "soft facts" });
    const open = () => this.file.click();
    this.saves = ["WAV", "FLAC", "Picture"].map((label) => button({ label, icon: label === "Picture" ? "picture" : "download", title: `Download as ${label === "Picture" ? "a picture (PNG)" : label}`, onClick: () => this.#save(label) }));
    const tools = element("div", { class: "row" }, button({ label: "Open", icon: "open", title: "Open a sound file", onClick: open }), element("div", { class: "group", role: "group", "aria-label": "Download" }, this.saves));
    const head = element("div", { class: "editor-head" }, element("div", { class: "grow" }, this.name, this.facts), tools);
    this.welcome = element("div", { class: "welcome" }, this.ui.icon("music"), element("p", { text: "Generate a clip, or drop a sound file here." }), button({ label: "Open a sound file", icon: "open", onClick: open }));
    this.stage = element("div", { class: "audio-stage" }, this.wave.node, this.wave.about, this.welcome);
    const editor = element("section", { class: "panel editor", "aria-label": "Recording" }, head, this.stage, this.transport.node, this.file);
    this.form.foot.append(this.jobs.node);
    this.node = element("div", { class: "audio" }, editor, this.form.node, element("div", { class: "below" }, this.shelf.node));
    this.#show();
  }

  #connect() {
    this.wave.addEventListener("span", () => this.#spanChanged());
    this.wave.addEventListener("seek", (event) => this.player.seek(event.detail));
    this.player.addEventListener("time", () => {
      this.wave.cursor = this.player.time;
      if (this.player.playing) {
        this.wave.follow();
      }
    });
    this.player.addEventListener("failed", () => this.ui.toast("This recording could not be played.", { kind: "error" }));
    this.form.addEventListener("submit", (event) => this.#submit(event.detail));
    this.jobs.addEventListener("done", (event) => this.#done(event.detail));
    this.shelf.addEventListener("open", (event) => this.open(event.detail));
    this.shelf.addEventListener("reuse", (event) => this.#reuse(event.detail));
    this.shelf.addEventListener("removed", (event) => event.detail === this.#recording?.id && this.#close());
    this.api.connection.addEventListener("regained", () => this.#refreshShelf());
    this.#connectDrop();
  }

  #connectDrop() {
    const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    this.node.addEventListener("dragover", (event) => {
      if (carries(event)) {
        event.preventDefault();
        this.node.classList.add("dropping");
      }
    });
    this.node.addEventListener("dragleave", (event) => {
      if (!this.node.contains(event.relatedTarget)) {
        this.node.classList.remove("dropping");
      }
    });
    this.node.addEventListener("drop", (event) => {
      event.preventDefault();
      this.node.classList.remove("dropping");
      this.#upload(event.dataTransfer.files[0]);
    });
  }

  async #restore() {
    this.jobs.resume();
    await this.#refreshShelf();
    const id = this.#kept();
    if (id && !this.#recording && this.shelf.items.some((item) => item.id === id)) {
      await this.open(id);
    }
  }

  #kept() {
    try {
      return sessionStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  async #refreshShelf() {
    try {
      await this.shelf.refresh();
    } catch (error) {
      this.#tell(error);
    }
  }

  #tell(error) {
    this.ui.toast(error.message, { kind: "error" });
  }

  // Recordings

  /** @param {string} id of a recording to show @param {number[]|null} [span] to mark in it */
  async open(id, span = null) {
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const recording = await this.api.get(`/audio/recordings/${id}`);
      if (turn === this.#turn) {
        await this.#use(recording, span);
      }
    } catch (error) {
      this.#tell(error);
    }
  }

  async #use(recording, span = null) {
    const before = this.#recording;
    this.#recording = recording;
    try {
      sessionStorage.setItem(KEY, recording.id);
    } catch {
      // Without storage a page that is loaded again begins without a recording.
    }
    this.player.load(this.#address(recording.id), recording.seconds);
    this.shelf.current = recording.id;
    const shown = this.wave.show(recording, { keep: recording.seconds === before?.seconds });
    if (span) {
      this.wave.span = span;
    }
    this.#show();
    await Promise.all([shown, this.#findSource(recording)]);
  }

  async #findSource(recording) {
    this.transport.source = null;
    const before = recording.origin?.before;
    if (!before) {
      return;
    }
    try {
      const source = await this.api.get(`/audio/recordings/${before}`);
      if (this.#recording === recording) {
        const shift = recording.origin.settings?.before === true ? recording.seconds - source.seconds : 0;
        this.player.loadSource(this.#address(before), shift);
        this.transport.source = source;
      }
    } catch (error) {
      if (error.status !== 404) {
        this.#tell(error);
      }
    }
  }

  #address(id) {
    return this.api.url(`/audio/recordings/${id}/file?format=wav`);
  }

  #close() {
    this.#recording = null;
    this.player.load(null, 0);
    this.wave.show(null);
    this.transport.source = null;
    this.shelf.current = null;
    this.#show();
  }

  #show() {
    const recording = this.#recording;
    this.name.textContent = recording ? recording.name || "Unnamed" : "Audio";
    this.facts.textContent = recording ? this.#factsOf(recording) : "";
    this.welcome.hidden = recording !== null;
    this.wave.node.hidden = recording === null;
    for (const each of this.saves) {
      each.disabled = recording === null;
    }
    this.form.tell(recording, this.wave.span);
    this.transport.show();
  }

  #factsOf({ seconds, rate_hz: rate, channels, new_seconds: spans }) {
    const time = (each) => this.ui.formatTime(each, 2);
    const width = { 1: "mono", 2: "stereo" }[channels] ?? `${channels} channels`;
    const all = spans.length === 1 && spans[0][1] - spans[0][0] > seconds * 0.999;
    const fresh = all ? "all new" : spans.map(([start, end]) => `new ${time(start)}–${time(end)}`).join(", ");
    return [`${seconds.toFixed(2)} s`, `${rate / 1000} kHz`, width, fresh].filter(Boolean).join(" · ");
  }

  #spanChanged() {
    this.form.tell(this.#recording, this.wave.span);
    this.transport.show();
  }

  async #upload(file) {
    this.file.value = "";
    if (!file) {
      return;
    }
    const most = this.info.limits?.audio_bytes;
    if (most && file.size > most) {
      this.ui.toast(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB; this studio takes up to ${(most / 1e6).toFixed(1)} MB.`, { kind: "error" });
      return;
    }
    this.node.setAttribute("aria-busy", "true");
    const close = this.ui.toast(`Opening ${file.name} …`);
    try {
      const recording = await this.api.upload("/audio/recordings", file);
      this.#turn += 1;
      await Promise.all([this.#use(recording), this.#refreshShelf()]);
    } catch (error) {
      this.#tell(error);
    } finally {
      close();
      this.node.removeAttribute("aria-busy");
    }
  }

  #save(label) {
    const path = `/audio/recordings/${this.#recording.id}`;
    const end = label === "Picture" ? "/picture" : `/file?format=${label.toLowerCase()}&download=1`;
    this.ui.download(this.api.url(path + end));
  }

  // Making

  async #submit({ action, settings }) {
    this.form.busy = true;
    try {
      const job = await this.api.post(`/audio/${action}`, settings);
      this.#newest = job.id;
      this.jobs.add(job);
    } catch (error) {
      this.form.complain(error.message);
    } finally {
      this.form.busy = false;
    }
  }

  async #done({ job, recording }) {
    await this.#refreshShelf();
    // What was asked for last is shown; what came before it waits on the shelf.
    if (this.#newest === null || this.#newest === job.id) {
      await this.open(recording);
      this.#bringIntoView();
    }
    this.ui.toast(`Ready: ${this.shelf.items.find((item) => item.id === recording)?.name ?? "a new recording"}`, { kind: "success" });
  }

  #bringIntoView() {
    const { top, bottom } = this.stage.getBoundingClientRect();
    if (bottom < 80 || top > innerHeight - 80) {
      this.node.firstElementChild.scrollIntoView();
    }
  }

  async #reuse(item) {
    const settings = item.settings ?? {};
    const before = settings.recording;
    const span = item.job_kind === "audio.inpaint" ? [settings.start, settings.end] : null;
    this.form.reuse(item.job_kind, settings);
    if (before && before !== this.#recording?.id) {
      await this.open(before, span);
    } else if (span && this.#recording) {
      this.wave.span = span;
    }
    if (this.shelf.node.contains(document.activeElement)) {
      this.form.submit.focus();
    }
  }

  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || this.ui.isTyping(event) || !this.#recording) {
      return;
    }
    const acts = {
      " ": () => this.player.toggle(),
      l: () => this.transport.toggleLoop(),
      b: () => this.transport.toggleSource(),
      "[": () => this.transport.mark(0),
      "]": () => this.transport.mark(1),
      Escape: () => (this.wave.span = null),
      "+": () => this.wave.zoom(1.5),
      "=": () => this.wave.zoom(1.5),
      "-": () => this.wave.zoom(1 / 1.5),
      0: () => this.wave.fit(),
    };
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act && !(event.key === " " && event.target.closest("button, a, summary, label"))) {
      event.preventDefault();
      act();
    }
  }
}

// A recording to look at: waveform over spectrogram, zoom, scroll, a span that is marked, a cursor.

import { RULER, drawFrequencies, drawRuler, drawSpectrum, drawWave, layout, loudest, readOverview } from "./wave_draw.js";

const SHORTEST_VIEW = 0.05;
const EDGE_PIXELS = 7;
const CLICK_PIXELS = 4;
const WHOLE_COLUMNS = 1200;
const MOST_COLUMNS = 2400;
const WAIT_MS = 140;

/** Tells "span" (marked or cleared), "seek" (detail: seconds) and "view". */
export class WaveView extends EventTarget {
  #api;
  #ui;
  #recording = null;
  #whole = null;
  #detail = null;
  #top = 255;
  #view = { start: 0, end: 1 };
  #span = null;
  #cursor = 0;
  #drag = null;
  #timer = 0;
  #loading = null;
  #drawn = 0;
  #pointers = new Map();

  /** @param {{api: object, ui: object}} context */
  constructor({ api, ui }) {
    super();
    this.#api = api;
    this.#ui = ui;
    this.base = ui.element("canvas", { role: "img", "aria-label": "No recording" });
    this.over = ui.element("canvas", { "aria-hidden": "true" });
    this.about = ui.element("p", { class: "visually-hidden", id: "wave-about" });
    this.node = ui.element(
      "div",
      {
        class: "wave",
        tabindex: "0",
        role: "application",
        "aria-label": "Waveform: arrows move the cursor, brackets mark a span",
        "aria-describedby": "wave-about",
      },
      this.base,
      this.over,
    );
    this.#listen();
  }

  /** The marked span [start, end] in seconds, or null. */
  get span() {
    return this.#span;
  }

  set span(value) {
    const seconds = this.#recording?.seconds ?? 0;
    const clip = (time) => Math.min(seconds, Math.max(0, time));
    const next = value ? [clip(Math.min(...value)), clip(Math.max(...value))] : null;
    this.#span = next && next[1] - next[0] >= 0.005 ? next : null;
    this.#describe();
    this.redraw();
    this.dispatchEvent(new Event("span"));
  }

  /** What is in view, {start, end} in seconds. */
  get view() {
    return { ...this.#view };
  }

  /** Where the cursor stands, in seconds. */
  get cursor() {
    return this.#cursor;
  }

  set cursor(seconds) {
    this.#cursor = seconds;
    this.redraw();
  }

  /**
   * @param {object|null} recording to show
   * @param {{keep?: boolean}} [options] whether span and view stay as they are
   */
  async show(recording, { keep = false } = {}) {
    this.#loading?.abort();
    this.#recording = recording;
    this.#whole = this.#detail = null;
    this.#cursor = 0;
    if (!keep) {
      this.#span = null;
      this.#view = { start: 0, end: recording?.seconds ?? 1 };
    }
    this.#changed();
    this.dispatchEvent(new Event("span"));
    if (recording) {
      await this.#fetchWhole(recording);
    }
  }

  async #fetchWhole(recording) {
    const path = `/audio/recordings/${recording.id}/overview?columns=${WHOLE_COLUMNS}`;
    const whole = readOverview(await this.#api.get(path));
    if (this.#recording === recording) {
      this.#whole = whole;
      this.#top = Math.max(40, loudest(whole));
      this.#describe();
      this.redraw();
    }
  }

  /**
   * @param {number} factor above 1 looks closer
   * @param {number} [at] seconds that stay where they are; the cursor, if in view, or the middle
   */
  zoom(factor, at = this.#centre()) {
    const { start, end } = this.#view;
    const length = (end - start) / factor;
    this.#look(at - (at - start) / factor, length);
  }

  /** Moves what is in view by a share of its length. */
  scroll(share) {
    const length = this.#view.end - this.#view.start;
    this.#look(this.#view.start + share * length, length);
  }

  /** @param {number} seconds that come to the left edge */
  scrollTo(seconds) {
    this.#look(seconds, this.#view.end - this.#view.start);
  }

  /** Shows all of it. */
  fit() {
    this.#look(0, this.#recording?.seconds ?? 1);
  }

  /** Shows the marked span, with a little on both sides. */
  fitSpan() {
    if (this.#span) {
      const length = (this.#span[1] - this.#span[0]) * 1.2;
      this.#look(this.#span[0] - length / 12, length);
    }
  }

  /** Turns the page where the cursor has left what is in view. */
  follow() {
    const { start, end } = this.#view;
    if (!this.#drag && (this.#cursor < start || this.#cursor > end)) {
      this.#look(this.#cursor - (end - start) * 0.02, end - start);
    }
  }

  #centre() {
    const { start, end } = this.#view;
    return this.#cursor >= start && this.#cursor <= end ? this.#cursor : (start + end) / 2;
  }

  #look(start, length) {
    const seconds = this.#recording?.seconds ?? 1;
    const kept = Math.min(seconds, Math.max(Math.min(SHORTEST_VIEW, seconds), length));
    const first = Math.min(Math.max(0, start), seconds - kept);
    this.#view = { start: first, end: first + kept };
    this.#changed();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetchDetail(), WAIT_MS);
  }

  async #fetchDetail() {
    const recording = this.#recording;
    const { start, end } = this.#view;
    this.#loading?.abort();
    if (!recording || end - start > recording.seconds * 0.95) {
      return;
    }
    this.#loading = new AbortController();
    const columns = Math.min(MOST_COLUMNS, Math.round(this.#width() * Math.min(2, devicePixelRatio)));
    const path = `/audio/recordings/${recording.id}/overview?columns=${columns}&start=${start}&end=${end}`;
    try {
      const detail = readOverview(await this.#api.get(path, { signal: this.#loading.signal }));
      if (this.#recording === recording) {
        this.#detail = detail;
        this.redraw();
      }
    } catch {
      // The coarser picture stays; what went wrong with the server is told elsewhere.
    }
  }

  #changed() {
    this.#describe();
    this.redraw();
    this.dispatchEvent(new Event("view"));
  }

  #describe() {
    const recording = this.#recording;
    if (!recording) {
      this.about.textContent = "No recording is open.";
      this.base.setAttribute("aria-label", "No recording");
      return;
    }
    const say = (span) => `${span[0].toFixed(2)} to ${span[1].toFixed(2)} seconds`;
    const parts = [`${recording.name}: ${recording.seconds.toFixed(2)} seconds.`];
    if (this.#whole) {
      const peaks = this.#whole.high.map((high, i) => Math.max(high, -this.#whole.low[i]));
      const most = Math.max(...peaks);
      const at = (peaks.indexOf(most) / this.#whole.columns) * recording.seconds;
      const level = most > 0 ? `${(20 * Math.log10(most)).toFixed(0)} dB` : "silence";
      parts.push(`Loudest at ${at.toFixed(1)} seconds (${level}).`);
    }
    if (recording.new_seconds.length) {
      parts.push(`New: ${recording.new_seconds.map(say).join(", ")}.`);
    }
    parts.push(this.#span ? `Marked: ${say(this.#span)}.` : "Nothing is marked.");
    this.about.textContent = parts.join(" ");
    this.base.setAttribute("aria-label", `Waveform and spectrogram of ${parts.slice(0, 3).join(" ")}`);
  }

  // Drawing

  #width() {
    return this.node.clientWidth || 1;
  }

  /** Draws at the next frame. */
  redraw() {
    this.#drawn ||= requestAnimationFrame(() => {
      this.#drawn = 0;
      this.#draw();
    });
  }

  #prepare(canvas) {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [this.#width(), this.node.clientHeight];
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== across || canvas.height !== down) {
      canvas.width = across;
      canvas.height = down;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width, height };
  }

  #draw() {
    if (!this.node.isConnected || !this.node.clientHeight) {
      return;
    }
    this.#drawBase();
    this.#drawOver();
  }

  #basis() {
    const { start, end } = this.#view;
    const detail = this.#detail;
    const covers = detail && detail.start <= start + 1e-6 && detail.end >= end - 1e-6;
    return covers && end - start < this.#recording.seconds * 0.95 ? detail : this.#whole;
  }

  // The picture below changes seldom and costs most: it is drawn anew only when what it shows has changed.
  #drawBase() {
    const scheme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
    const basis = this.#recording ? this.#basis() : null;
    const key = [scheme, this.#view.start, this.#view.end, this.#width(), this.node.clientHeight, devicePixelRatio].join();
    if (this.#last?.key === key && this.#last.basis === basis) {
      return;
    }
    this.#last = { key, basis };
    const { context, width, height } = this.#prepare(this.base);
    const { wave, spectrum } = layout(height);
    const colours = this.#colours();
    drawRuler(context, this.#view, width, colours, this.#ui.formatTime);
    context.fillStyle = colours.line;
    context.fillRect(0, wave.top + wave.height / 2, width, 1);
    if (basis) {
      drawWave(context, basis, this.#view, { ...wave, width }, this.#paint(colours));
      drawSpectrum(context, basis, this.#view, { ...spectrum, width }, this.#top, scheme);
      drawFrequencies(context, basis.highest_hz, spectrum, colours);
    } else if (this.#recording) {
      context.fillStyle = colours.soft;
      context.fillText("Reading the sound …", 12, wave.top + wave.height + 24);
    }
  }

  #last = null;

  #colours() {
    const names = ["panel", "ink", "soft", "line", "accent", "new", "focus"];
    const colours = Object.fromEntries(names.map((name) => [name, this.#ui.colour(`--${name}`)]));
    return { ...colours, font: `11px ${this.#ui.colour("--sans")}` };
  }

  #paint(colours) {
    const { seconds, new_seconds: spans } = this.#recording;
    const all = spans.length === 1 && spans[0][1] - spans[0][0] > seconds * 0.999;
    if (all) {
      return () => colours.new;
    }
    return (time) => (spans.some(([start, end]) => time >= start && time < end) ? colours.new : colours.accent);
  }

  #x(seconds) {
    return ((seconds - this.#view.start) / (this.#view.end - this.#view.start)) * this.#width();
  }

  #drawOver() {
    const { context, width, height } = this.#prepare(this.over);
    if (!this.#recording) {
      return;
    }
    const colours = this.#colours();
    context.fillStyle = colours.new;
    for (const [start, end] of this.#recording.new_seconds) {
      context.fillRect(this.#x(start), 0, Math.max(1, this.#x(end) - this.#x(start)), 4);
    }
    if (this.#span) {
      this.#drawSpan(context, height, colours);
    }
    const x = Math.round(this.#x(this.#cursor));
    if (x >= 0 && x <= width) {
      context.fillStyle = colours.panel;
      context.fillRect(x - 1, RULER - 8, 3, height);
      context.fillStyle = colours.ink;
      context.fillRect(x, RULER - 8, 1, height);
      context.beginPath();
      context.moveTo(x - 5, RULER - 10);
      context.lineTo(x + 6, RULER - 10);
      context.lineTo(x + 0.5, RULER - 2);
      context.fill();
    }
  }

  #drawSpan(context, height, colours) {
    const [left, right] = this.#span.map((time) => this.#x(time));
    context.fillStyle = colours.focus;
    context.globalAlpha = 0.2;
    context.fillRect(left, RULER, right - left, height);
    context.globalAlpha = 1;
    context.fillRect(left - 1, RULER - 6, 2, height);
    context.fillRect(right - 1, RULER - 6, 2, height);
    context.fillRect(left, RULER - 6, right - left, 4);
  }

  // Pointer and keys

  #time(event) {
    const box = this.node.getBoundingClientRect();
    const share = (event.clientX - box.left - this.node.clientLeft) / this.#width();
    const { start, end } = this.#view;
    return Math.min(this.#recording.seconds, Math.max(0, start + share * (end - start)));
  }

  #listen() {
    const { node } = this;
    node.addEventListener("pointerdown", (event) => this.#down(event));
    node.addEventListener("pointermove", (event) => this.#move(event));
    node.addEventListener("pointerup", (event) => this.#up(event));
    node.addEventListener("pointercancel", (event) => this.#leave(event));
    node.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    node.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.redraw()).observe(node);
    this.#ui.scheme.addEventListener("change", () => this.redraw());
  }

  #edge(event) {
    const box = this.node.getBoundingClientRect();
    const x = event.clientX - box.left;
    const reach = event.pointerType === "touch" ? 3 * EDGE_PIXELS : EDGE_PIXELS;
    return this.#span ? this.#span.findIndex((time) => Math.abs(this.#x(time) - x) <= reach) : -1;
  }

  #down(event) {
    if (!this.#recording || event.button !== 0) {
      return;
    }
    this.node.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event.clientX);
    if (this.#pointers.size === 2) {
      this.#drag = null;
      return;
    }
    const edge = this.#edge(event);
    const anchor = edge >= 0 ? this.#span[1 - edge] : this.#time(event);
    this.#drag = { x: event.clientX, anchor, moved: edge >= 0 };
  }

  #move(event) {
    if (this.#pointers.has(event.pointerId) && this.#pointers.size === 2) {
      this.#pinch(event);
      return;
    }
    if (!this.#drag) {
      this.node.classList.toggle("at-edge", this.#recording !== null && this.#edge(event) >= 0);
      return;
    }
    this.#drag.moved ||= Math.abs(event.clientX - this.#drag.x) >= CLICK_PIXELS;
    if (this.#drag.moved) {
      this.span = [this.#drag.anchor, this.#time(event)];
    }
  }

  #pinch(event) {
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)[1];
    const before = Math.abs(this.#pointers.get(event.pointerId) - other);
    const now = Math.abs(event.clientX - other);
    const middle = this.#time({ clientX: (event.clientX + other) / 2 });
    this.#pointers.set(event.pointerId, event.clientX);
    if (before > 10 && now > 10) {
      this.zoom(now / before, middle);
    }
  }

  #up(event) {
    if (this.#drag && !this.#drag.moved) {
      this.#seek(this.#time(event));
    }
    this.#leave(event);
  }

  #leave(event) {
    this.#pointers.delete(event.pointerId);
    this.#drag = null;
  }

  #wheel(event) {
    if (!this.#recording) {
      return;
    }
    event.preventDefault();
    const across = event.shiftKey ? event.deltaY : event.deltaX;
    if (Math.abs(across) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      this.scroll(across / this.#width());
    } else {
      this.zoom(Math.exp(-event.deltaY * 0.002), this.#time(event));
    }
  }

  #seek(seconds) {
    this.cursor = Math.min(this.#recording.seconds, Math.max(0, seconds));
    this.follow();
    this.dispatchEvent(new CustomEvent("seek", { detail: this.#cursor }));
  }

  #key(event) {
    if (!this.#recording || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const length = this.#view.end - this.#view.start;
    const step = { ArrowLeft: -length / 100, ArrowRight: length / 100 }[event.key];
    const far = { Home: 0, End: this.#recording.seconds }[event.key];
    if (step !== undefined || far !== undefined) {
      this.#walk(far ?? this.#cursor + step, event.shiftKey);
    } else if (event.key === "PageUp" || event.key === "PageDown") {
      this.scroll(event.key === "PageUp" ? -0.8 : 0.8);
    } else {
      return;
    }
    event.preventDefault();
  }

  #walk(to, marking) {
    const from = this.#cursor;
    const span = this.#span;
    this.#seek(to);
    if (marking) {
      const near = span && Math.abs(span[0] - from) < Math.abs(span[1] - from) ? span[1] : span?.[0];
      this.span = [near ?? from, this.#cursor];
    }
  }
}

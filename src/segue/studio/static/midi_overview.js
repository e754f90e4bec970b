// A strip with the whole piece: where one is, where the hole is, where the music is.

import { element } from "./ui.js";

const HEIGHT = 34;

export class Overview {
  /** @param {Roll} roll */
  constructor(roll) {
    this.roll = roll;
    this.canvas = element("canvas", {
      class: "overview",
      tabindex: 0,
      role: "slider",
      "aria-label": "Part of the piece in view",
      "aria-valuemin": 1,
    });
    this.node = element("div", { class: "overview-frame" }, this.canvas);
    this.picture = document.createElement("canvas");
    this.cursor = 0;
    this.pending = 0;
    this.canvas.addEventListener("pointerdown", (event) => this.#grab(event));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.rebuild()).observe(this.node);
  }

  #grab(event) {
    if (event.button !== 0 || !this.roll.scene.piece) {
      return;
    }
    const box = this.canvas.getBoundingClientRect();
    const { view } = this.roll;
    const tickAt = (x) => ((x - box.left) / box.width) * this.#end();
    const width = view.width / view.scale;
    const start = tickAt(event.clientX);
    const held = start >= view.left && start <= view.left + width ? start - view.left : width / 2;
    const go = (moved) => this.roll.scrollTo(tickAt(moved.clientX) - held);
    const stop = new AbortController();
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.addEventListener("pointermove", go, { signal: stop.signal });
    for (const name of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(name, () => stop.abort(), { signal: stop.signal });
    }
    go(event);
  }

  #key(event) {
    const { view } = this.roll;
    const width = view.width / view.scale;
    const steps = { ArrowLeft: -0.1, ArrowRight: 0.1, PageUp: -0.9, PageDown: 0.9 };
    const targets = { Home: 0, End: this.#end() };
    if (event.key in steps) {
      this.roll.scrollTo(view.left + steps[event.key] * width);
    } else if (event.key in targets) {
      this.roll.scrollTo(targets[event.key]);
    } else {
      return;
    }
    event.preventDefault();
  }

  #end() {
    return this.roll.scene.piece?.endTicks ?? 1;
  }

  /** Draws the notes anew: another piece, another width, other colours. */
  rebuild() {
    const { piece, lanes } = this.roll.scene;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.node.clientWidth * ratio));
    const height = Math.round(HEIGHT * ratio);
    for (const canvas of [this.picture, this.canvas]) {
      canvas.width = width;
      canvas.height = height;
    }
    const ctx = this.picture.getContext("2d");
    ctx.clearRect(0, 0, width, height);
    const lane = height / Math.max(1, lanes.length);
    lanes.forEach((one, i) => {
      for (const part of piece ? [one.notes, one.fresh] : []) {
        this.#dots(ctx, part, one, { y: i * lane, lane, width, end: piece.endTicks, ratio });
      }
    });
    this.draw();
  }

  #dots(ctx, part, lane, { y, lane: room, width, end, ratio }) {
    if (!part) {
      return;
    }
    const { palette } = this.roll;
    ctx.fillStyle = part === lane.fresh ? palette.new : palette.tracks[lane.colour][2];
    const high = Math.max(1, Math.round(ratio * (room > 6 ? 1.5 : 1)));
    let last = -1;
    for (const shade of part.shades) {
      for (let i = 0; i < shade.onset.length; i += 1) {
        const x = Math.floor((shade.onset[i] / end) * width);
        const row = lane.layout.rows[shade.pitch[i]] / lane.layout.count;
        const top = Math.floor(y + row * (room - high));
        if (x * 4096 + top !== last) {
          ctx.fillRect(x, top, Math.max(1, Math.ceil(((shade.end[i] - shade.onset[i]) / end) * width)), high);
          last = x * 4096 + top;
        }
      }
    }
  }

  /** Draws the strip again with the next frame. */
  draw() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      this.#draw();
    });
  }

  #draw() {
    const ctx = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    const { view, palette, scene, marks } = this.roll;
    const x = (tick) => Math.round((tick / this.#end()) * width);
    ctx.globalAlpha = 1;
    ctx.fillStyle = palette.beyond;
    ctx.fillRect(0, 0, width, height);
    if (!scene.piece) {
      return;
    }
    const [left, right] = [x(view.left), Math.min(width, x(view.left + view.width / view.scale))];
    ctx.fillStyle = palette.lane;
    ctx.fillRect(left, 0, right - left, height);
    ctx.fillStyle = palette.accent;
    ctx.globalAlpha = 0.3;
    for (const { start, end } of marks) {
      ctx.fillRect(x(start), 0, Math.max(2, x(end) - x(start)), height);
    }
    ctx.globalAlpha = 1;
    ctx.drawImage(this.picture, 0, 0);
    ctx.strokeStyle = palette.soft;
    ctx.lineWidth = 2;
    ctx.strokeRect(left + 1, 1, Math.max(2, right - left - 2), height - 2);
    ctx.fillStyle = palette.ink;
    ctx.fillRect(x(this.cursor), 0, 2, height);
    this.#say();
  }

  #say() {
    const { view, scene } = this.roll;
    const first = scene.piece.barAt(view.left) + 1;
    const last = scene.piece.barAt(view.left + view.width / view.scale) + 1;
    const text = `Bars ${first} to ${last} of ${scene.piece.numBars}`;
    if (this.canvas.getAttribute("aria-valuetext") !== text) {
      this.canvas.setAttribute("aria-valuemax", scene.piece.numBars);
      this.canvas.setAttribute("aria-valuenow", first);
      this.canvas.setAttribute("aria-valuetext", text);
    }
  }

  /** Shows where the music is. */
  setCursor(tick) {
    this.cursor = tick;
    this.draw();
  }
}
